"""ingest.storage.inbox_writing: one file of an inbox while its client writes it."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable

from mailmaker.ingest.domain.drops import Mark

MODES = {Mark.OPEN: 0o600, Mark.CLOSED: 0o640, Mark.COMPLETE: 0o660}
"""The mark of a file is its mode: set in one step, kept through a crash, seen by every process. Clients cannot set modes;
a mode that is none of these was given by an administrator's copy, which is closed."""
_LOOK_AGAIN = 16 << 20


def mark_of(mode: int) -> Mark:
    """What a file's mode says of it."""
    found = {value: mark for mark, value in MODES.items()}
    return found.get(mode & 0o777, Mark.CLOSED)


class Writing:
    """A file open for writing. It holds a shared lock, which dies with the process, and by which whoever takes files
    knows that somebody writes. A later writer of the same file takes over: this one may then write no more."""

    def __init__(self, fd: int, name: str, room: Callable[[], int], left: Callable[[Writing], None]) -> None:
        self.fd = fd
        self.name = name
        self._room = room
        self._left = left
        self._guard = threading.Lock()
        self._limit = room()
        self._unlooked = 0
        self.closed = False

    def write(self, offset: int, data: bytes) -> int:
        """Writes all of it. Raises OSError: EDQUOT beyond the inbox's room, ESTALE when another session took over."""
        with self._guard:
            self._check_open()
            self._check_room(offset + len(data))
            view, at = memoryview(data), offset
            while view:
                written = os.pwrite(self.fd, view, at)
                view, at = view[written:], at + written
            self._unlooked += len(data)
        return len(data)

    def read(self, offset: int, size: int) -> bytes:
        with self._guard:
            self._check_open()
            return os.pread(self.fd, size, offset)

    def truncate(self, size: int) -> None:
        with self._guard:
            self._check_open()
            self._check_room(size)
            os.ftruncate(self.fd, size)

    def size(self) -> int:
        with self._guard:
            self._check_open()
            return os.fstat(self.fd).st_size

    def sync(self) -> None:
        with self._guard:
            self._check_open()
            os.fdatasync(self.fd)

    def close(self, *, finished: bool) -> None:
        """`finished`: the client itself closed it. Else its connection broke, and what lies there may be half a file."""
        with self._guard:
            if self.closed:
                return
            self.closed = True
            try:
                if finished and mark_of(os.fstat(self.fd).st_mode) is Mark.OPEN:
                    os.fchmod(self.fd, MODES[Mark.CLOSED])
            finally:
                os.close(self.fd)
        self._left(self)

    def _check_open(self) -> None:
        if self.closed:
            raise OSError(errno.ESTALE, "another session writes to this file, or it was closed")

    def _check_room(self, end: int) -> None:
        if end > self._limit or self._unlooked >= _LOOK_AGAIN:
            self._limit, self._unlooked = self._room(), 0
            if end > self._limit:
                raise OSError(errno.EDQUOT, "the file or the inbox would be larger than it may be")


class Writers:
    """The files that this process's sessions write to."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._by_file: dict[tuple[int, int], Writing] = {}

    def begin(self, fd: int, name: str, room: Callable[[], int]) -> Writing:
        """The writer of an open file; one before it is closed: its client has come back while the old session hangs."""
        writing = Writing(fd, name, room, self._leave)
        found = os.fstat(fd)
        with self._guard:
            before = self._by_file.get((found.st_dev, found.st_ino))
            self._by_file[(found.st_dev, found.st_ino)] = writing
        if before is not None:
            before.close(finished=False)
        return writing

    def _leave(self, writing: Writing) -> None:
        with self._guard:
            for key, one in list(self._by_file.items()):
                if one is writing:
                    del self._by_file[key]


def share(fd: int) -> None:
    """Takes the lock of one who writes. Raises OSError (EBUSY) while the file is being taken."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as wrong:
        raise OSError(errno.EBUSY, "the file is being taken") from wrong


def own(fd: int) -> bool:
    """Takes the lock of one who takes. False: somebody writes."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
