"""suppression.storage.journal_file: one journal file: locked by its process, appended and fsynced, emptied by replay."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

READY = ".journal"
FRESH = ".fresh"


class JournalFile:
    """A file `<id>.journal`, held by flock for as long as it is open: a dead process holds nothing.

    A file begins as `<id>.fresh` and takes its name once its row in `journals` is committed: a journal whose process
    is dead is thus always known to the feed, which vouches for nothing until the file is replayed.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.id = UUID(path.stem)
        self.path = path
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    @classmethod
    def create(cls, directory: Path, id: UUID) -> JournalFile:
        path = directory / f"{id}{FRESH}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return cls(path, descriptor)

    @classmethod
    def take(cls, path: Path) -> JournalFile | None:
        """Opens a file whose process is dead. None: it is alive, or somebody else took it."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        if not path.exists():  # renamed or removed between our open and our lock
            os.close(descriptor)
            return None
        taken = cls(path, descriptor)
        taken._cut_torn_line()
        return taken

    @property
    def registered(self) -> bool:
        return self.path.suffix == READY

    def rename(self, suffix: str) -> None:
        """Durably, so that a crash finds the file under one of its two names."""
        target = self.path.with_suffix(suffix)
        self.path.rename(target)
        self.path = target
        sync_directory(target.parent)

    def append(self, lines: Iterable[bytes]) -> None:
        """Durable on return. On any failure (a full disk) the file is as it was before: nothing of it was promised."""
        before = self.size
        data = b"".join(lines)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, before)
            raise
        self.size = before + len(data)

    def lines(self) -> list[bytes]:
        data = os.pread(self._descriptor, self.size, 0)
        return [line for line in data.split(b"\n") if line]

    def _cut_torn_line(self) -> None:
        # A crash in the middle of a write: the line was never acknowledged, and the next must not join it.
        whole = os.pread(self._descriptor, self.size, 0).rfind(b"\n") + 1
        if whole != self.size:
            os.ftruncate(self._descriptor, whole)
            self.size = whole

    def empty(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.fsync(self._descriptor)
        self.size = 0

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        sync_directory(self.path.parent)
        self.close()


def sync_directory(directory: Path) -> None:
    """Makes names in the directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
