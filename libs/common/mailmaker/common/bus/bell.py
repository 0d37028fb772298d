"""common.bus.bell: wakes workers when a commit says so (LISTEN/NOTIFY); they look by themselves now and then too."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from types import TracebackType

import asyncpg
from mailmaker.common.bus.backoff import Backoff
from mailmaker.common.storage.engine import Database, StorageUnavailable

PULSE = 15.0
"""Seconds between proofs that the listening connection still lives: a half-open one never says a word."""


class Bell:
    """Rings every ear when the channel is notified, when listening begins anew, and at the end."""

    def __init__(self, db: Database, channel: str, stop: asyncio.Event) -> None:
        self._db, self._channel, self._stop = db, channel, stop
        self._ears: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    def ear(self) -> Ear:
        """A place to sleep, one a worker task. What rang before the sleep is not missed."""
        heard = asyncio.Event()
        heard.set()
        self._ears.append(heard)
        return Ear(heard)

    async def __aenter__(self) -> Bell:
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._ring_at_the_end())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ring(self, *_: object) -> None:
        for ear in self._ears:
            ear.set()

    async def _ring_at_the_end(self) -> None:
        await self._stop.wait()
        self._ring()

    async def _listen(self) -> None:
        backoff = Backoff(0.1, 5.0)
        while True:
            with suppress(
                StorageUnavailable, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError
            ):
                async with self._db.connection() as conn:
                    await conn.add_listener(self._channel, self._ring)
                    self._ring()  # what was notified while nobody listened
                    backoff.reset()
                    while not conn.is_closed():
                        await asyncio.sleep(PULSE)
                        await conn.fetchval("SELECT 1", timeout=5)
            await asyncio.sleep(backoff.next())


class Ear:
    """What one worker task sleeps on."""

    def __init__(self, heard: asyncio.Event) -> None:
        self._heard = heard

    async def sleep(self, at_most: float) -> None:
        """Returns at the next ring, or after about `at_most` seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), at_most * random.uniform(0.7, 1.0))
        self._heard.clear()
