"""ingest.drop.ftps_files: an inbox as FTP shows it.

Every look at a file system that the library may want is answered here.
"""

from __future__ import annotations

import os
import stat
from typing import IO, Any

from mailmaker.ingest.domain.paths import BadPath, Place, place_of
from mailmaker.ingest.drop.ftp_library import AbstractedFS
from mailmaker.ingest.storage.inbox_writing import Writing
from mailmaker.ingest.storage.inboxes import Inbox

NOWHERE = "?"
"""What a path that cannot exist is called from here on: no folder has this name."""


class Incoming:
    """A file that comes in, as the library writes it. Its end is told by the session, which knows how it came about."""

    def __init__(self, writing: Writing, path: str, offset: int) -> None:
        self.writing = writing
        self.name = path
        self.closed = False
        self._at = offset

    def write(self, data: bytes) -> None:
        self.writing.write(self._at, data)
        self._at += len(data)

    def seek(self, offset: int) -> None:
        """Going on after REST: what lies behind that point is written anew."""
        self.writing.truncate(offset)
        self._at = offset

    def close(self) -> None:
        self.closed = True


class InboxFs(AbstractedFS):  # type: ignore[misc]  # the library has no types
    """Paths here are the client's own: `/in/name`."""

    def __init__(self, root: str, cmd_channel: Any) -> None:
        super().__init__("/", cmd_channel)
        self._inbox: Inbox = cmd_channel.inbox

    def ftp2fs(self, ftppath: str) -> str:
        try:
            return str(place_of(ftppath, place_of(self.cwd)))
        except BadPath:
            return NOWHERE

    def fs2ftp(self, fspath: str) -> str:
        return fspath

    def validpath(self, path: str) -> bool:
        return path != NOWHERE

    def open(self, filename: str, mode: str) -> Incoming | IO[bytes]:
        place = self._place(filename)
        if mode == "rb":
            return os.fdopen(self._inbox.read(place), "rb")
        writing = self._inbox.write(place, create=mode != "r+b", truncate=mode == "wb")
        return Incoming(writing, filename, writing.size() if mode == "ab" else 0)

    def mkstemp(self, suffix: str = "", prefix: str = "", dir: str | None = None, mode: str = "wb") -> Any:
        raise PermissionError("an upload has a name")

    def chdir(self, path: str) -> None:
        if not self.isdir(path):
            raise NotADirectoryError("not a folder")
        self.cwd = path

    def mkdir(self, path: str) -> None:
        raise PermissionError("an inbox has four folders and no others")

    rmdir = mkdir

    def listdir(self, path: str) -> list[str]:
        return [name for name, _ in self._inbox.listing(self._place(path))]

    listdirinfo = listdir

    def remove(self, path: str) -> None:
        self._inbox.remove(self._place(path))

    def rename(self, src: str, dst: str) -> None:
        self._inbox.rename(self._place(src), self._place(dst), replace=True)

    def chmod(self, path: str, mode: int) -> None:
        """Modes are ours."""

    def utime(self, path: str, timeval: float) -> None:
        """Times are the disk's."""

    def stat(self, path: str) -> os.stat_result:
        return self._inbox.stat(self._place(path))

    lstat = stat

    def readlink(self, path: str) -> str:
        raise FileNotFoundError("there are no links")

    def isfile(self, path: str) -> bool:
        found = self._found(path)
        return found is not None and stat.S_ISREG(found.st_mode)

    def isdir(self, path: str) -> bool:
        found = self._found(path)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def islink(self, path: str) -> bool:
        return False

    def lexists(self, path: str) -> bool:
        return self._found(path) is not None

    def getsize(self, path: str) -> int:
        return self.stat(path).st_size

    def getmtime(self, path: str) -> float:
        return self.stat(path).st_mtime

    def realpath(self, path: str) -> str:
        return path

    def get_user_by_uid(self, uid: int) -> str:
        return "drop"

    get_group_by_gid = get_user_by_uid

    def _found(self, path: str) -> os.stat_result | None:
        try:
            return self.stat(path)
        except OSError:
            return None

    def _place(self, path: str) -> Place:
        try:
            return place_of(path)
        except BadPath as wrong:
            raise FileNotFoundError(str(wrong)) from wrong
