"""ingest.storage.inboxes: inboxes on disk, as their clients see them: four folders, flat, without links.

`drops/<account>/<drop>/` under the house's files: `home/` is what the client sees; `taking/` holds files between the inbox
and their import, by the id of their row. A name is only ever used as one component under an open directory, never through a
link. What a client may not do is an OSError whose text may be told to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from mailmaker.ingest.domain.drops import Drop, Mark
from mailmaker.ingest.domain.paths import ROOT, Folder, Place, is_unfinished
from mailmaker.ingest.storage.inbox_writing import MODES, Writers, Writing, share

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """Most files and bytes in `in/`, the same again in each folder of what was; the largest file."""

    files: int
    bytes: int
    file: int


class Inbox:
    """One inbox's directory. Blocking: for worker threads, and the FTPS door's own."""

    def __init__(self, path: Path, limits: Limits, writers: Writers) -> None:
        self.path = path
        self.limits = limits
        self._writers = writers

    def prepare(self) -> None:
        """Makes its folders."""
        for folder in (*(self.path / "home" / name for name in Folder), self.path / "taking"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def folder(self, folder: Folder) -> Iterator[int]:
        """The open directory."""
        fd = os.open(self.path / "home" / folder, _DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether this is the only one that takes files here; for as long as the block lasts."""
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(fd)

    def stat(self, place: Place) -> os.stat_result:
        """What lies there. Raises OSError."""
        if place.folder is None:
            return os.stat(self.path / "home", follow_symlinks=False)
        with self.folder(place.folder) as fd:
            return os.fstat(fd) if place.name is None else _regular(place.name, fd)

    def listing(self, place: Place) -> list[tuple[str, os.stat_result]]:
        """A folder's names, in order, each with what lies there. Raises OSError."""
        if place.folder is None:
            return [(folder.value, self.stat(Place(folder))) for folder in Folder]
        if place.name is not None:
            raise OSError(errno.ENOTDIR, "not a folder")
        found = []
        with self.folder(place.folder) as fd:
            for name in sorted(os.listdir(fd)):
                with contextlib.suppress(OSError):
                    found.append((name, _regular(name, fd)))
        return found

    def read(self, place: Place) -> int:
        """The file, open for reading: a descriptor that is the caller's. Raises OSError."""
        folder, name = _file(place)
        with self.folder(folder) as fd:
            return _checked(os.open(name, _READ, dir_fd=fd))

    def write(
        self, place: Place, *, create: bool = True, exclusive: bool = False, truncate: bool = True
    ) -> Writing:
        """A file of `in/`, open for writing. Raises OSError."""
        folder, name = _file(place)
        if folder is not Folder.IN:
            raise OSError(errno.EACCES, "files are put into in/ only")
        flags = _WRITE | (os.O_CREAT if create else 0) | (os.O_EXCL if exclusive else 0)
        with self.folder(folder) as fd:
            if create:
                self._check_count(name, fd)
            for _ in range(_TRIES):
                made = _checked(os.open(name, flags, MODES[Mark.OPEN], dir_fd=fd))
                try:
                    share(made)
                    if not _is_still(name, made, fd):
                        # Taken between the opening and the lock: the next round makes it anew.
                        os.close(made)
                        continue
                    os.fchmod(made, MODES[Mark.OPEN])
                    writing = self._writers.begin(made, name, lambda: self._room(name))
                except BaseException:
                    with contextlib.suppress(OSError):
                        os.close(made)
                    raise
                if truncate:
                    writing.truncate(0)
                return writing
        raise OSError(errno.EBUSY, "the file is being taken")

    def remove(self, place: Place) -> None:
        """Removes a file, from any folder. Raises OSError."""
        folder, name = _file(place)
        with self.folder(folder) as fd:
            _regular(name, fd)
            os.unlink(name, dir_fd=fd)

    def rename(self, source: Place, target: Place, *, replace: bool) -> None:
        """Renames within `in/`. From an unfinished name to a finished one, the file is thereby complete."""
        (folder, name), (other, new) = _file(source), _file(target)
        if (folder, other) != (Folder.IN, Folder.IN):
            raise OSError(errno.EACCES, "files are renamed within in/ only")
        with self.folder(folder) as fd:
            _regular(name, fd)
            if not replace and name != new:
                with contextlib.suppress(FileNotFoundError):
                    os.stat(new, dir_fd=fd, follow_symlinks=False)
                    raise OSError(errno.EEXIST, "there is a file of that name")
            if is_unfinished(name) and not is_unfinished(new):
                # Marked before it is renamed: a complete file under an unfinished name is not taken.
                os.chmod(name, MODES[Mark.COMPLETE], dir_fd=fd)
            os.rename(name, new, src_dir_fd=fd, dst_dir_fd=fd)

    def forget(self) -> None:
        """Removes all of it, for ever."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _check_count(self, name: str, fd: int) -> None:
        names = os.listdir(fd)
        if name not in names and len(names) >= self.limits.files:
            raise OSError(errno.EDQUOT, "the inbox holds as many files as it may")

    def _room(self, name: str) -> int:
        """The size that one file may grow to beside the others."""
        others = sum(found.st_size for other, found in self.listing(Place(Folder.IN)) if other != name)
        return min(self.limits.file, self.limits.bytes - others)


class Inboxes:
    """All inboxes of the house. A resource."""

    def __init__(self, files: Path, defaults: Limits) -> None:
        self._root = files / "drops"
        self._defaults = defaults
        self._writers = Writers()

    async def open(self) -> None:
        await asyncio.to_thread(self._root.mkdir, mode=0o700, parents=True, exist_ok=True)

    async def close(self) -> None:
        """Holds nothing open."""

    def of(self, drop: Drop) -> Inbox:
        """A drop's inbox."""
        most = self._defaults
        limits = Limits(drop.quota_files or most.files, drop.quota_bytes or most.bytes, most.file)
        return self.at(drop.account_id, drop.id, limits)

    def at(self, account_id: UUID, drop_id: UUID, limits: Limits | None = None) -> Inbox:
        """An inbox by its ids."""
        path = self._root / str(account_id) / str(drop_id)
        return Inbox(path, limits or self._defaults, self._writers)


def _file(place: Place) -> tuple[Folder, str]:
    if place == ROOT or place.folder is None or place.name is None:
        raise OSError(errno.EISDIR, "a folder, not a file")
    return place.folder, place.name


def _regular(name: str, fd: int) -> os.stat_result:
    found = os.stat(name, dir_fd=fd, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.ENOENT, "no such file")
    return found


def _checked(fd: int) -> int:
    """Only a plain file with one name is a file of an inbox."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(fd)
        raise OSError(errno.EACCES, "not a plain file")
    return fd


def _is_still(name: str, fd: int, folder: int) -> bool:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino == os.fstat(fd).st_ino
    except FileNotFoundError:
        return False
