"""common.testing.book: writes the sink's ledger: appended and fsynced before anybody is answered."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mailmaker.common.testing.ledger import BYTES, LEDGER, Seen


@dataclass(frozen=True, slots=True)
class Keep:
    """Which messages' bytes are kept: every `every`-th; 0 is none."""

    every: int = 0

    @classmethod
    def from_text(cls, text: str) -> Keep:
        if text == "all":
            return cls(1)
        kind, _, number = text.partition(":")
        if kind != "sample" or not number.isdigit() or int(number) < 1:
            raise ValueError("--keep-bytes: all or sample:N")
        return cls(int(number))


@dataclass(slots=True)
class _Waiting:
    seen: Seen
    body: bytes | None
    kept: Callable[[], None] | None


class Book:
    """The ledger's writer. `add` queues a transaction; once its line is on disk `kept` is called."""

    def __init__(self, directory: Path, keep: Keep) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._lines = os.open(directory / LEDGER, flags, 0o644)
        self._bytes = os.open(directory / BYTES, flags, 0o644)
        self._offset = os.fstat(self._bytes).st_size
        self._keep = keep
        self._batch: list[_Waiting] = []
        self._work = asyncio.Event()
        self._closing = False
        self.number = 0

    def keeps_next(self) -> bool:
        return bool(self._keep.every) and self.number % self._keep.every == 0

    def add(self, seen: Seen, body: bytes | None, kept: Callable[[], None] | None) -> None:
        self._batch.append(_Waiting(seen, body, kept))
        self._work.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while not (self._closing and not self._batch):
            await self._work.wait()
            self._work.clear()
            batch, self._batch = self._batch, []
            if not batch:
                continue
            await loop.run_in_executor(None, self._write, batch)
            for waiting in batch:
                if waiting.kept is not None:
                    waiting.kept()
        os.close(self._lines)
        os.close(self._bytes)

    def close(self) -> None:
        self._closing = True
        self._work.set()

    def _write(self, batch: list[_Waiting]) -> None:
        lines = []
        bodies = []
        for waiting in batch:
            seen = waiting.seen
            if waiting.body is not None:
                seen = replace(seen, offset=self._offset)
                self._offset += len(waiting.body)
                bodies.append(waiting.body)
            lines.append(seen.line())
        if bodies:
            _write_all(self._bytes, b"".join(bodies))
            os.fdatasync(self._bytes)
        _write_all(self._lines, b"".join(lines))
        os.fdatasync(self._lines)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
