"""ingest.drop.sftp_files: an inbox as SFTP shows it. Every request of the protocol is answered here or refused; none
reaches the library's own handlers, which work on the machine's file system."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Callable

import asyncssh
from asyncssh import SFTPAttrs, SFTPName
from mailmaker.ingest.domain.paths import BadPath, Place, place_of
from mailmaker.ingest.storage.inbox_writing import Writing
from mailmaker.ingest.storage.inboxes import Inbox

_READ, _WRITE, _APPEND, _CREATE, _TRUNCATE, _EXCLUSIVE = 1, 2, 4, 8, 16, 32
_MOST_HANDLES = 64


class Reading:
    """A file open for reading."""

    def __init__(self, fd: int) -> None:
        self.fd = fd


class InboxFiles(asyncssh.SFTPServer):
    """One SFTP session's view. `heard` is called at every request."""

    def __init__(
        self, chan: asyncssh.SSHServerChannel[bytes], inbox: Inbox, heard: Callable[[], None]
    ) -> None:
        super().__init__(chan)
        self._inbox = inbox
        self._heard = heard
        self._handles = 0
        self._closing: list[Writing] = []

    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        """Opens a file. Its attributes are ours: a client's modes and times change nothing."""
        place = self._place(path)
        if self._handles >= _MOST_HANDLES:
            raise asyncssh.SFTPFailure("too many open files")
        if not pflags & (_WRITE | _APPEND):
            opened: object = Reading(await asyncio.to_thread(self._inbox.read, place))
        else:
            opened = await asyncio.to_thread(
                self._inbox.write,
                place,
                create=bool(pflags & _CREATE),
                exclusive=bool(pflags & _EXCLUSIVE),
                truncate=bool(pflags & _TRUNCATE),
            )
        self._handles += 1
        return opened

    async def open56(self, path: bytes, desired_access: int, flags: int, attrs: SFTPAttrs) -> object:
        raise asyncssh.SFTPOpUnsupported("this is SFTP 3")

    def close(self, file_obj: object) -> None:
        """Closes. The library calls this for the client's own close, and, in one breath with `exit`, for what was left
        open when the connection ended: only the first says that a file is finished, so the mark is set a moment later."""
        self._handles -= 1
        if isinstance(file_obj, Writing):
            self._heard()
            self._closing.append(file_obj)
            asyncio.get_running_loop().call_soon(self._settle, True)
        elif isinstance(file_obj, Reading):
            os.close(file_obj.fd)

    def exit(self) -> None:
        self._settle(False)

    def _settle(self, finished: bool) -> None:
        closing, self._closing = self._closing, []
        for writing in closing:
            writing.close(finished=finished)

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        self._heard()
        if isinstance(file_obj, Writing):
            return await asyncio.to_thread(file_obj.read, offset, size)
        assert isinstance(file_obj, Reading)
        return await asyncio.to_thread(os.pread, file_obj.fd, size, offset)

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        self._heard()
        return await asyncio.to_thread(self._writing(file_obj).write, offset, data)

    async def stat(self, path: bytes) -> SFTPAttrs:
        return _attrs(await asyncio.to_thread(self._inbox.stat, self._place(path)))

    lstat = stat

    async def fstat(self, file_obj: object) -> SFTPAttrs:
        self._heard()
        fd = file_obj.fd if isinstance(file_obj, Writing | Reading) else -1
        return _attrs(await asyncio.to_thread(os.fstat, fd))

    async def setstat(self, path: bytes, attrs: SFTPAttrs) -> None:
        """Modes and times are passed over; a size is changed on an open file only."""
        await self.stat(path)
        if attrs.size is not None:
            raise asyncssh.SFTPOpUnsupported("open the file to change its size")

    lsetstat = setstat

    async def fsetstat(self, file_obj: object, attrs: SFTPAttrs) -> None:
        self._heard()
        if attrs.size is not None:
            await asyncio.to_thread(self._writing(file_obj).truncate, attrs.size)

    async def fsync(self, file_obj: object) -> None:
        self._heard()
        await asyncio.to_thread(self._writing(file_obj).sync)

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        for name, found in await asyncio.to_thread(self._inbox.listing, self._place(path)):
            attrs = _attrs(found)
            yield SFTPName(name.encode(), _longname(name, attrs), attrs)

    async def remove(self, path: bytes) -> None:
        await asyncio.to_thread(self._inbox.remove, self._place(path))

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """SFTP 3: an existing file is in the way."""
        await self._rename(oldpath, newpath, replace=False)

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._rename(oldpath, newpath, replace=True)

    async def _rename(self, source: bytes, target: bytes, *, replace: bool) -> None:
        places = self._place(source), self._place(target)
        await asyncio.to_thread(self._inbox.rename, *places, replace=replace)

    def realpath(self, path: bytes) -> bytes:
        return str(self._place(path)).encode()

    def mkdir(self, path: bytes, attrs: SFTPAttrs) -> None:
        raise asyncssh.SFTPPermissionDenied("an inbox has four folders and no others")

    def rmdir(self, path: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("the folders of an inbox stay")

    def readlink(self, path: bytes) -> bytes:
        raise asyncssh.SFTPNoSuchFile("there are no links")

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("there are no links")

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("there are no links")

    def lock(self, file_obj: object, offset: int, length: int, flags: int) -> None:
        raise asyncssh.SFTPOpUnsupported("files are not locked by clients")

    def unlock(self, file_obj: object, offset: int, length: int) -> None:
        raise asyncssh.SFTPOpUnsupported("files are not locked by clients")

    def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        raise asyncssh.SFTPOpUnsupported("the disk is not shown")

    def fstatvfs(self, file_obj: object) -> asyncssh.SFTPVFSAttrs:
        raise asyncssh.SFTPOpUnsupported("the disk is not shown")

    def map_path(self, path: bytes) -> bytes:
        """What of the library would look at the machine's files ends here."""
        raise asyncssh.SFTPPermissionDenied("no such path")

    def _place(self, path: bytes) -> Place:
        self._heard()
        try:
            return place_of(path)
        except BadPath as wrong:
            raise asyncssh.SFTPNoSuchFile(str(wrong)) from wrong

    def _writing(self, file_obj: object) -> Writing:
        if not isinstance(file_obj, Writing):
            raise asyncssh.SFTPPermissionDenied("the file is open for reading")
        return file_obj


def _attrs(found: os.stat_result) -> SFTPAttrs:
    folder = stat.S_ISDIR(found.st_mode)
    mode = stat.S_IFDIR | 0o750 if folder else stat.S_IFREG | 0o640
    return SFTPAttrs(
        size=found.st_size,
        uid=0,
        gid=0,
        permissions=mode,
        atime=int(found.st_mtime),
        mtime=int(found.st_mtime),
    )


def _longname(name: str, attrs: SFTPAttrs) -> bytes:
    when = time.strftime("%b %d %H:%M", time.gmtime(attrs.mtime or 0))
    line = f"{stat.filemode(attrs.permissions or 0)} 1 drop drop {attrs.size or 0:>12} {when} {name}"
    return line.encode()
