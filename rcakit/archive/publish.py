"""Kept runs sent elsewhere through fsspec: object storage, FTP, WebDAV, a directory; whatever has a protocol there.

A run is sent whole, its report.html last, and the index after all: what is linked is there. The index lists what lies
at the URL, not what lies here. Needs `pip install 'rcakit[publish]'`, and the package of the protocol: s3fs for s3://.
https://filesystem-spec.readthedocs.io/en/latest/
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rcakit.archive.kept import Archive, Kept, archive
from rcakit.credentials import looks_secret, withheld
from rcakit.errors import ConfigError, MissingExtra, RcaError

Say = Callable[[str], None]
_LAST = "report.html"
_READ = ("run.json", "findings.json")
_LOGINS = frozenset({"ftp", "hdfs", "sftp", "smb", "ssh"})
"""Protocols where what stands before the host is the name of a user."""
_FLAT = frozenset({"s3", "gs", "gcs", "abfs", "az", "oss"})
"""Object storage: it has no directories, and to make one would make the bucket of a mistyped name."""
_FOREIGN = {
    "aiohttp": "ClientError",
    "azure.core.exceptions": "AzureError",
    "botocore.exceptions": "BotoCoreError",
    "ftplib": "Error",
    "google.auth.exceptions": "GoogleAuthError",
    "paramiko.ssh_exception": "SSHException",
}
"""Module -> its base error that is no OSError: what protocols let through."""


class Place:
    """A URL that runs are sent to; `path` is the part of it that the file system behind it understands."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError for a URL that holds credentials or whose protocol is unknown, MissingExtra without fsspec."""
        if _holds_credentials(url):
            raise ConfigError(
                "the URL holds credentials, which would end up in logs and process lists",
                hint="leave them out: every protocol reads them from its own environment or settings file",
            )
        try:
            from fsspec.core import url_to_fs
        except ModuleNotFoundError as error:
            raise MissingExtra("fsspec", "publish") from error
        self.url = url.rstrip("/")
        try:
            with _errors(self.url):
                self.system, path = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"{self.url} cannot be opened: {withheld(str(error))}", hint="check the protocol"
            ) from None
        self.path = path.rstrip("/")
        known = self.system.protocol
        self.flat = not _FLAT.isdisjoint([known] if isinstance(known, str) else known)

    def send(self, kept: Kept) -> bool:
        """Send one run; False when it was there already. Raises RcaError.

        Only plain files are sent: a symbolic link may lead to anything.
        """
        with _errors(self.url):
            there = f"{self.path}/{kept.folder.parent.name}/{kept.id}"
            if self.system.exists(f"{there}/{_LAST}"):
                return False
            for file in sorted(_files(kept.folder), key=lambda path: path.name == _LAST):
                self._put(file.read_bytes(), f"{there}/{file.relative_to(kept.folder).as_posix()}")
            return True

    def write_index(self, page: Callable[[Archive], str], name: str) -> None:
        """Write the index of what is there now. Raises RcaError."""
        with _errors(self.url), tempfile.TemporaryDirectory(prefix="rcakit-") as mirror:
            for report in self._reports():
                self._fetch(report, Path(mirror))
            self._put(page(archive(Path(mirror))).encode("utf-8", "backslashreplace"), f"{self.path}/{name}")

    def _reports(self) -> Iterator[list[str]]:
        """The last three parts of the path of every report there: target, run, report.html."""
        self.system.invalidate_cache()
        for found in self.system.find(self.path, maxdepth=3):
            parts = str(found).removeprefix(self.path).strip("/").split("/")
            if len(parts) == 3 and parts[-1] == _LAST and ".." not in parts:
                yield parts

    def _fetch(self, report: list[str], mirror: Path) -> None:
        """What an index is made of, as a folder here; the report itself stays there."""
        target, run, _ = report
        folder = mirror / target / run
        folder.mkdir(parents=True)
        (folder / _LAST).touch()
        for name in _READ:
            there = f"{self.path}/{target}/{run}/{name}"
            if self.system.exists(there):
                (folder / name).write_bytes(self.system.cat_file(there))

    def _put(self, content: bytes, path: str) -> None:
        if not self.flat:
            self.system.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.system.pipe_file(path, content)


def _holds_credentials(url: str) -> bool:
    """A password, a token before the host, or a query, where signatures are; a plain user name is none."""
    protocol, _, rest = url.partition("://")
    user = "@" in rest.partition("/")[0] and protocol not in _LOGINS
    return looks_secret(url) or user or "?" in url


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path


@contextmanager
def _errors(url: str) -> Iterator[None]:
    """What a protocol raises, as one error of ours, without anything in it that looks like a password."""
    try:
        yield
    except _refusals() as error:
        said = withheld(f"{type(error).__name__}: {error}")
        raise RcaError(
            f"{url}: {said}", hint="nothing half-sent is linked there; mend that, and run it again"
        ) from None


def _refusals() -> tuple[type[Exception], ...]:
    """OSError, and the errors of the protocols that are loaded."""
    loaded = ((sys.modules.get(module), name) for module, name in _FOREIGN.items())
    return (OSError, *(getattr(module, name) for module, name in loaded if module is not None))


def publish(runs: Iterable[Kept], place: Place, say: Say = lambda _: None) -> int:
    """Send runs, the oldest first; returns how many were not there yet. Raises RcaError."""
    sent = 0
    for kept in sorted(runs, key=lambda each: each.run.started):
        new = place.send(kept)
        say(f"{kept.folder.parent.name}/{kept.id}: {'sent' if new else 'is there already'}")
        sent += new
    return sent


def wanted(reference: str, root: Path) -> tuple[Kept, ...]:
    """The runs to send: all below a directory, or the one that is meant. Raises ConfigError when there is none."""
    from rcakit.archive.lookup import find

    path = Path(reference)
    if path.is_dir() and not (path / "run.json").exists():
        runs = archive(path).runs
        if runs:
            return runs
    return (find(reference, root),)
