"""common.bus.lanes: the records of one key one after another, different keys beside each other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from mailmaker.common.bus.backoff import Backoff
from mailmaker.common.bus.protocol import Handle
from mailmaker.common.bus.record import Received
from mailmaker.common.ops.logging import logger

Settled = Callable[[], None]
Lane = tuple[str, str]


class Lanes:
    """Handles records, a task for each key that has some. Whoever puts records in bounds their number."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._waiting: dict[Lane, deque[tuple[Received, Settled]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    def put(self, received: Received, settled: Settled) -> None:
        """Queues a record behind those of its key. `settled` is called once it has been handled."""
        if self._closing.is_set():
            return
        lane = (received.record.topic, received.record.key)
        queue = self._waiting.get(lane)
        if queue is not None:
            queue.append((received, settled))
            return
        self._waiting[lane] = deque([(received, settled)])
        task = asyncio.create_task(self._walk(lane), name="bus lane")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, grace: float) -> None:
        """Begins nothing more; gives what is being handled `grace` seconds to end, then cancels it: it will come again."""
        self._closing.set()
        if self._tasks:
            _, late = await asyncio.wait(tuple(self._tasks), timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._waiting.clear()

    async def _walk(self, lane: Lane) -> None:
        queue = self._waiting[lane]
        try:
            while queue and not self._closing.is_set():
                received, settled = queue[0]
                if not await self._until_handled(received):
                    break
                queue.popleft()
                settled()
        finally:
            self._waiting.pop(lane, None)

    async def _until_handled(self, received: Received) -> bool:
        """False when the lanes close before it was handled."""
        backoff = Backoff(0.05, 5.0)
        while not self._closing.is_set():
            try:
                await self._handle(received)
            except Exception as wrong:
                logger("common.bus").warning(
                    "handler failed, the record comes again",
                    topic=received.record.topic,
                    event_id=received.record.id,
                    error=type(wrong).__name__,
                )
            else:
                return True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), backoff.next())
        return False
