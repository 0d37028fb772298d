"""suppression.storage.notices: PostgreSQL's notifications of what other processes committed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from mailmaker.common.storage.engine import Database

ALIVE_EVERY = 10.0


async def listen(
    db: Database, channels: tuple[str, ...], heard: Callable[[str, str], None], stop: asyncio.Event
) -> None:
    """Calls `heard(channel, payload)` for each notification until `stop`, or until the connection ends (an error)."""
    async with db.connection() as conn:
        lost = asyncio.Event()
        conn.add_termination_listener(lambda _: lost.set())
        for channel in channels:
            await conn.add_listener(channel, lambda _c, _p, name, payload: heard(name, payload))
        ended = [asyncio.create_task(stop.wait()), asyncio.create_task(lost.wait())]
        try:
            while not stop.is_set() and not lost.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(_first(ended), ALIVE_EVERY)
                if not stop.is_set() and not lost.is_set():
                    await conn.execute("SELECT 1", timeout=5)
        finally:
            for task in ended:
                task.cancel()
    if not stop.is_set():
        raise ConnectionError("the listening connection ended")


async def _first(tasks: Sequence[asyncio.Task[Any]]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
