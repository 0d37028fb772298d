"""suppression.storage.journal: this process's journal: what it promised while PostgreSQL was away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.ids import new_id
from mailmaker.suppression.domain.journaled import Journaled
from mailmaker.suppression.errors import JournalClosed
from mailmaker.suppression.storage.journal_file import FRESH, READY, JournalFile, sync_directory

WAITING = 4000
REJECTED = "rejected.jsonl"


class Journal:
    """Appends share an fsync. A resource; the worker that registers and replays it is actions.keep_journal."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: JournalFile | None = None
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing = asyncio.Lock()
        self._log = logger("suppression.storage")

    async def open(self) -> None:
        """Goes on with the file of a process that died here, or begins one."""
        self._file = await asyncio.to_thread(self._open)

    async def close(self) -> None:
        """Leaves the file where it is if it is registered: emptied and taken out by `actions.keep_journal` before."""
        async with self._writing:
            if self._file is not None:
                if not self._file.registered:
                    self._file.remove()
                self._file.close()
                self._file = None

    @property
    def file(self) -> JournalFile:
        if self._file is None:
            raise JournalClosed("the journal is closed")
        return self._file

    @property
    def directory(self) -> Path:
        return self._directory

    @property
    def is_empty(self) -> bool:
        """Nothing promised that is not in PostgreSQL. Synchronous: true at this instant."""
        return not self._pending and self.file.size == 0

    async def append(self, said: Journaled) -> None:
        """Durable on return. Raises JournalClosed when it cannot be promised: not registered yet, or the disk is full."""
        if self._file is None or not self._file.registered:
            raise JournalClosed("PostgreSQL does not answer, and this process has no registered journal yet")
        if len(self._pending) >= WAITING:
            raise JournalClosed("too many requests are waiting for the disk")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((said.encode(), done))
        # A caller that goes away does not take its line with it: it may be on the disk already.
        await asyncio.shield(self._written(done))
        await done

    async def _written(self, done: asyncio.Future[None]) -> None:
        async with self._writing:
            if not done.done():
                await self._flush()

    async def _flush(self) -> None:
        group, file = list(self._pending), self.file
        try:
            await asyncio.to_thread(file.append, [line for line, _ in group])
        except OSError as wrong:
            for _, done in group:
                if not done.done():
                    done.set_exception(JournalClosed(f"the disk does not take it: {wrong.strerror}"))
        else:
            for _, done in group:
                if not done.done():
                    done.set_result(None)
        finally:
            del self._pending[: len(group)]

    async def emptied(self, replayed: int) -> bool:
        """After a replay of the first `replayed` bytes: empties the file if nothing came since. False: replay again."""
        async with self._writing:
            if self.file.size != replayed:
                return False
            await asyncio.to_thread(self.file.empty)
            return True

    def orphans(self) -> Iterator[JournalFile]:
        """Files of dead processes, locked for us one after the other."""
        for path in sorted(self._directory.glob("*" + READY)) + sorted(self._directory.glob("*" + FRESH)):
            if self._file is not None and path == self._file.path:
                continue
            taken = JournalFile.take(path)
            if taken is not None:
                yield taken

    def reject(self, lines: Iterable[bytes]) -> None:
        """Keeps lines that cannot be replayed for a person to look at: each may be somebody's "no"."""
        aside = self._directory / REJECTED
        with aside.open("ab") as out:
            for line in lines:
                self._log.error("a journaled no cannot be replayed; it is kept", file=REJECTED)
                out.write(line.rstrip(b"\n") + b"\n")

    def _open(self) -> JournalFile:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(self._directory.glob("*" + READY)):
            taken = JournalFile.take(path)
            if taken is not None:
                return taken
        file = JournalFile.create(self._directory, new_id())
        sync_directory(self._directory)
        return file
