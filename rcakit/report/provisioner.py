"""jupyter_client's way to kernels that are forked: https://jupyter-client.readthedocs.io/en/stable/provisioning.html"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from rcakit.report import forks
from rcakit.report.forks import Fork, Template


class Provisioner(LocalProvisioner):
    """jupyter_client's `rcakit-fork`: kernels from `template`, or from one that the process keeps."""

    template: Template | None = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        process = self._forked(cmd, **kwargs)
        if process is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process = cast("subprocess.Popen[bytes]", process)
        self.pid = self.pgid = process.pid
        self.cwd = kwargs.get("cwd") or os.getcwd()
        return self.connection_info

    def _forked(
        self, cmd: list[str], *, env: Mapping[str, str], cwd: str | None = None, **others: Any
    ) -> Fork | None:
        """None where the kernel has to be an ordinary one."""
        if not forks.POSSIBLE or any(value is not None for value in self._scrub_kwargs(others).values()):
            return None
        template = self.template or _kept()
        return template.fork(cmd[3:], env, str(cwd or os.getcwd())) if template.fits(cmd, env) else None

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Wait for the kernel to end as it was told to; the manager would only look ten times a second."""
        if isinstance(process := cast("object", self.process), Fork):
            await process.ended(self.get_shutdown_wait_time() / 2)


@cache
def _kept() -> Template:
    """For kernels that some other application starts: imported at its first, there as long as the process."""
    return Template()
