"""bench.growth: how much memory of its own each process of the platform took beyond what it held when idle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from mailmaker.common.testing.processes import command_line, descendants

EVERY = 0.05


class Growth:
    """MiB, of the process that grew most. What is mapped from files or shared, a library's code and PostgreSQL's buffers, is
    nobody's own and does not count. A process that is started meanwhile has no idle state: all that it holds counts."""

    def __init__(self, root: int, also: int | None = None) -> None:
        self._root = root
        self._also = set() if also is None else {also}
        self._idle: dict[int, int] = {}
        self._most: dict[int, int] = {}
        self._names: dict[int, str] = {}

    def look(self, *, idle: bool = False) -> None:
        """Takes a sample of every process; the one of the idle state comes first."""
        for pid in descendants(self._root) | self._also:
            held = _own(pid)
            if held:
                self._idle.setdefault(pid, held if idle else 0)
                self._most[pid] = max(held, self._most.get(pid, 0))
                self._names.setdefault(pid, command_line(pid))

    @property
    def most(self) -> float:
        return max((most - self._idle[pid]) / 1024 for pid, most in self._most.items())

    @property
    def who(self) -> str:
        """The command line of the process that grew most."""
        return self._names[max(self._most, key=lambda pid: self._most[pid] - self._idle[pid])]


@contextlib.asynccontextmanager
async def watched(root: int, also: int | None = None) -> AsyncIterator[Growth]:
    """Looks at the processes below `root`, and one more, twenty times a second until the block ends."""
    growth = Growth(root, also)
    await asyncio.to_thread(growth.look, idle=True)
    task = asyncio.create_task(_looking(growth))
    try:
        yield growth
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _looking(growth: Growth) -> None:
    while True:
        await asyncio.sleep(EVERY)
        await asyncio.to_thread(growth.look)


def _own(pid: int) -> int:
    """KiB of anonymous memory of a process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)
