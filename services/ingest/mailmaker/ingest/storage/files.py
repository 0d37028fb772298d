"""ingest.storage.files: uploads, staged files and rejects on disk, by the import's id, never by a client's name."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from mailmaker.ingest.errors import NoRoom

_MADE = ("staged", "outlines", "lines")
_KINDS = ("incoming", "uploads", *_MADE, "rejects")
_CHUNK = 1 << 20
_SYNC_EVERY = 32 << 20
_ABANDONED = 24 * 3600.0


class Files:
    """The directory. A resource: `open` makes its rooms and sweeps what broken uploads left."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def open(self) -> None:
        await asyncio.to_thread(self._prepare)

    async def close(self) -> None:
        """Holds nothing open."""

    def upload(self, import_id: UUID) -> Path:
        return self._root / "uploads" / str(import_id)

    def staged(self, import_id: UUID) -> Path:
        return self._root / "staged" / str(import_id)

    def outline(self, import_id: UUID) -> Path:
        return self._root / "outlines" / str(import_id)

    def lines(self, import_id: UUID) -> Path:
        return self._root / "lines" / str(import_id)

    def rejects(self, import_id: UUID) -> Path:
        return self._root / "rejects" / str(import_id)

    def incoming(self, import_id: UUID) -> Incoming:
        """A new upload. Nothing has its name until it is whole and on disk."""
        return Incoming(self._root / "incoming" / str(import_id), self.upload(import_id))

    async def forget(self, import_id: UUID) -> None:
        """Removes what was made of an import that will not be applied."""
        for kind in ("uploads", *_MADE):
            await asyncio.to_thread((self._root / kind / str(import_id)).unlink, missing_ok=True)

    async def forget_all(self, import_id: UUID) -> None:
        """Removes all that is kept of an import, its rejects too."""
        await self.forget(import_id)
        await self.forget_rejects(import_id)

    async def forget_rejects(self, import_id: UUID) -> None:
        """Removes the refused rows of an import; that there were some stays known."""
        await asyncio.to_thread(self.rejects(import_id).unlink, missing_ok=True)

    async def every(self) -> list[UUID]:
        """The imports of which anything is kept."""
        return await asyncio.to_thread(self._every)

    def _every(self) -> list[UUID]:
        found: set[UUID] = set()
        for kind in ("uploads", *_MADE, "rejects"):
            for path in (self._root / kind).iterdir():
                with contextlib.suppress(ValueError):
                    found.add(UUID(path.name))
        return sorted(found)

    async def older_than(self, seconds: float) -> list[UUID]:
        """The imports whose upload or staged file was written longer ago."""
        return await asyncio.to_thread(self._older_than, seconds, ("uploads", *_MADE))

    async def rejects_older_than(self, seconds: float) -> list[UUID]:
        """The imports whose rejects were written longer ago."""
        return await asyncio.to_thread(self._older_than, seconds, ("rejects",))

    def _older_than(self, seconds: float, kinds: Sequence[str]) -> list[UUID]:
        newest = time.time() - seconds
        found: set[UUID] = set()
        for kind in kinds:
            for path in (self._root / kind).iterdir():
                with contextlib.suppress(ValueError, OSError):
                    if path.stat().st_mtime < newest:
                        found.add(UUID(path.name))
        return sorted(found)

    async def forget_halves(self, import_id: UUID) -> None:
        """Removes what a reader that was killed had begun to write."""
        await asyncio.to_thread(self._forget_halves, import_id)

    def _forget_halves(self, import_id: UUID) -> None:
        for kind in (*_MADE, "rejects"):
            for path in (self._root / kind).glob(f"{import_id}.*"):
                path.unlink(missing_ok=True)

    def _prepare(self) -> None:
        for kind in _KINDS:
            (self._root / kind).mkdir(mode=0o700, parents=True, exist_ok=True)
        oldest = time.time() - _ABANDONED
        for path in (self._root / "incoming").iterdir():
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


class Incoming:
    """One upload on its way in: write its chunks in order, then `keep` or `discard`. Runs in worker threads."""

    def __init__(self, path: Path, target: Path) -> None:
        self._path = path
        self._target = target
        self._file: BinaryIO | None = None
        self._unsynced = 0

    @property
    def path(self) -> Path:
        return self._path

    @property
    def plain(self) -> Path:
        """Where the CSV that stands for a workbook or a packed file is written."""
        return self._path.with_name(self._path.name + ".plain")

    def write(self, data: bytes) -> None:
        """Appends. Synced now and then, so that `sync` at the end has little left to wait for."""
        try:
            if self._file is None:
                self._file = open(self._path, "xb", buffering=0)  # noqa: SIM115  # closed by sync or discard
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            self._unsynced += len(data)
            if self._unsynced >= _SYNC_EVERY:
                os.fdatasync(self._file.fileno())
                self._unsynced = 0
        except OSError as wrong:
            raise _named(wrong) from wrong

    def sync(self) -> None:
        """On disk, whole, still without its name."""
        if self._file is None:
            self.write(b"")
        assert self._file is not None
        try:
            os.fsync(self._file.fileno())
        except OSError as wrong:
            raise _named(wrong) from wrong
        self._file.close()

    def keep(self, *, plain: bool = False) -> None:
        """Gives it its name, durably; with `plain`, the CSV that stands for it, and what came is gone."""
        if plain:
            self._sync_plain()
            os.replace(self.plain, self._target)
            self._path.unlink(missing_ok=True)
        else:
            os.replace(self._path, self._target)
        for folder in (self._target.parent, self._path.parent):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def discard(self) -> None:
        """Forgets it, kept or not yet kept."""
        if self._file is not None:
            self._file.close()
        self._path.unlink(missing_ok=True)
        self.plain.unlink(missing_ok=True)
        self._target.unlink(missing_ok=True)

    def _sync_plain(self) -> None:
        try:
            descriptor = os.open(self.plain, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as wrong:
            raise _named(wrong) from wrong


async def read(path: Path) -> AsyncIterator[bytes]:
    """The bytes of a file, with the reader's back-pressure."""
    file = await asyncio.to_thread(open, path, "rb", 0)
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        file.close()


def _named(wrong: OSError) -> Exception:
    return NoRoom("the disk is full") if wrong.errno in (errno.ENOSPC, errno.EDQUOT) else wrong
