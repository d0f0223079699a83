"""A kernel's client that does not wait longer than the kernel does.

jupyter_client's own tries to reach a kernel ten times a second at most, and goes on listening for a fifth of a second
after it is ready; of a short notebook's time in a forked kernel that is half.
https://jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-info
"""

from __future__ import annotations

from math import inf
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING, Any

import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from traitlets import default

if TYPE_CHECKING:
    from jupyter_client.manager import KernelManager

RETRY_MS = 5
"""Between attempts to connect to a socket that the kernel has not made yet."""


class KernelClient(AsyncKernelClient):
    """Ready as soon as the kernel has answered and a first output has come."""

    @default("context")
    def _quick_to_retry(self) -> zmq.asyncio.Context:
        context: zmq.asyncio.Context = self._context_default()
        context.setsockopt(zmq.RECONNECT_IVL, RETRY_MS)
        return context

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Raises RuntimeError when the kernel dies before it answers, or does not within `timeout` seconds."""
        end = inf if timeout is None else monotonic() + timeout
        while not await self._answered():
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if monotonic() > end:
                raise RuntimeError(f"Kernel didn't respond in {timeout:g} seconds")

    async def _answered(self) -> bool:
        """What has come of earlier questions is left lying: whoever runs a cell looks for the answers to that.

        Without any output its channel is not connected yet, and a cell's would be lost.
        """
        self.kernel_info()
        try:
            reply: dict[str, Any] = await self.shell_channel.get_msg(timeout=1)
            await self.iopub_channel.get_msg(timeout=0.2)
        except Empty:
            return False
        self._handle_kernel_info_reply(reply)
        return True


def use(manager: KernelManager) -> None:
    """Let this manager's clients be such ones."""
    manager.client_factory = KernelClient
