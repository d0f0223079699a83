"""The small process that owns a scratch PostgreSQL and outlives whoever asked for it.

`rcakit.scratch` runs this file by path, in isolated mode: the standard library is all it has. Its standard input is
a pipe whose only write end lies in the asking process, so end of file means that process is gone, however it
went (a kill -9 included). Then the server is stopped and the private directory removed.

One argument, a JSON object: `binaries` (directory), `copy` (bool: bring the binaries along, the server's user
cannot reach them), `data` (directory to keep, or null), `account` ([uid, gid] to demote to, or null), `tmp`
(directory for the private one) and `settings` (name -> value). One JSON line comes back: `socket`, or `failed`
(the program) and `log` (the end of its output).
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from contextlib import suppress
from typing import IO, Any, cast

READY = b"database system is ready to accept connections"
PATIENCE = 60.0
"""Seconds a server may take to stop (a shutdown checkpoint) before it is killed."""


class StartError(Exception):
    """`args` are the program that failed and the end of its output."""


class Keeper:
    """One server in one private directory, from `initdb` to the last process gone."""

    def __init__(self, order: dict[str, Any], home: str) -> None:
        self.order = order
        self.home = home
        self.binaries = str(order["binaries"])
        self.data = order["data"] or os.path.join(home, "data")
        self.handle: int | None = None
        self.farewell = signal.SIGINT if order["data"] else signal.SIGQUIT

    def prepare(self) -> None:
        """Hand the private directory to the server's account, and the binaries when it cannot reach them."""
        if self.order["copy"]:
            self.binaries = _copy(self.binaries, os.path.join(self.home, "pg"))
        if self.order["account"]:
            _give(self.home, *self.order["account"])
        if self.order["data"] and self.order["account"] and sys.platform == "linux":
            # The way to a kept directory may be closed to the demoted server (0700 above it). An open
            # descriptor is a way that no parent directory has a say in.
            self.handle = os.open(self.data, os.O_RDONLY | os.O_DIRECTORY)
            self.data = f"/proc/self/fd/{self.handle}"

    def initialise(self) -> None:
        """`initdb`, unless the directory is a cluster already."""
        if os.path.exists(os.path.join(self.data, "PG_VERSION")):
            return
        unsynced = [] if self.order["data"] else ["--no-sync"]
        plain = ["--no-locale", "--encoding=UTF8", "--auth=trust", "--username=postgres"]
        with self._spawn("initdb", *unsynced, *plain, "--pgdata", self.data) as process:
            output, _ = process.communicate()
        if process.returncode:
            raise StartError("initdb", output.decode(errors="replace")[-4000:])

    def start(self) -> subprocess.Popen[bytes]:
        hba = os.path.join(self.home, "pg_hba.conf")
        with open(hba, "w") as file:  # whoever can reach the socket's directory is us
            file.write("local all all trust\n")
        os.chmod(hba, 0o644)
        settings = {**self.order["settings"], "hba_file": hba, "unix_socket_directories": self.home}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self._spawn("postgres", "-D", self.data, *options)

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """Read the server's log and our standard input until the server and all its children are gone."""
        log, asked, ready, stopping = cast(IO[bytes], process.stdout).fileno(), 0, False, False
        lines: deque[bytes] = deque(maxlen=40)
        while True:
            waiting = select.select(
                [log] if stopping else [log, asked], [], [], PATIENCE if stopping else None
            )
            if not waiting[0]:
                process.kill()  # its children follow at once: they watch the postmaster
                return
            if log in waiting[0]:
                if not (chunk := os.read(log, 65536)):
                    break
                lines.extend(chunk.splitlines())
                if not ready and any(READY in line for line in lines):
                    ready = True
                    _say(socket=self.home)
            if asked in waiting[0]:  # a byte, or the end of file
                stopping = True
                process.send_signal(self.farewell)
        process.wait()
        if not ready and not stopping:
            raise StartError("postgres", b"\n".join(lines).decode(errors="replace"))

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        account = self.order["account"]
        identity: dict[str, Any] = {}
        if account:
            identity = {"user": account[0], "group": account[1], "extra_groups": []}
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))
        }
        return subprocess.Popen(
            [os.path.join(self.binaries, program), *arguments],
            env={**environment, "LC_ALL": "C", "LANG": "C", "TZ": "UTC", "HOME": self.home},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            umask=0o077,
            pass_fds=() if self.handle is None else (self.handle,),
            **identity,
        )


def _copy(binaries: str, to: str) -> str:
    """The two programs we run and what they load, laid out as found: they look for the rest relative to them.

    A wheel's shared libraries lie beside its package (`NAME.libs`, or `.dylibs` within it on macOS).
    """
    prefix = os.path.dirname(binaries)
    package, name = os.path.dirname(prefix), os.path.basename(prefix)
    new = os.path.join(to, os.path.basename(package))
    for program in ("initdb", "postgres"):
        os.makedirs(os.path.join(new, name, "bin"), exist_ok=True)
        shutil.copy2(os.path.join(binaries, program), os.path.join(new, name, "bin"))
    folders = {os.path.join(prefix, part): os.path.join(new, name, part) for part in ("lib", "share")}
    folders[package + ".libs"] = new + ".libs"
    folders[os.path.join(package, ".dylibs")] = os.path.join(new, ".dylibs")
    for old, copied in folders.items():
        if os.path.isdir(old):
            shutil.copytree(old, copied, symlinks=True)
    return os.path.join(new, name, "bin")


def _give(directory: str, uid: int, gid: int) -> None:
    """Make a directory of our own, with all in it, the server account's; nothing is followed out of it."""
    for parent, _, files in os.walk(directory):
        os.chown(parent, uid, gid)
        for file in files:
            os.chown(os.path.join(parent, file), uid, gid, follow_symlinks=False)


def _say(**answer: str) -> None:
    with suppress(BrokenPipeError):  # nobody is left to hear it: standard input says so next
        os.write(1, json.dumps(answer).encode() + b"\n")


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    # A script's background job ignores it, and so would a server that starts.
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    order = json.loads(sys.argv[1])
    home = tempfile.mkdtemp(prefix="rcakit-", dir=order["tmp"])
    keeper = Keeper(order, home)
    process = None
    try:
        keeper.prepare()
        keeper.initialise()
        process = keeper.start()
        keeper.watch(process)
    except StartError as failure:
        _say(failed=failure.args[0], log=failure.args[1])
        return 1
    except OSError as error:
        _say(failed="the launcher", log=str(error))
        return 1
    finally:
        if process is not None and process.poll() is None:  # we were told to end ourselves
            process.send_signal(keeper.farewell)
            process.wait(PATIENCE)
        shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
