"""dispatch.relay: one way out at work: its supply, its connections, its limits; the platform's own, or an egress path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from mailmaker.dispatch.domain.running import Order
from mailmaker.dispatch.relay.lanes import Lanes
from mailmaker.dispatch.relay.supply import Supply
from mailmaker.dispatch.relay.throttle import Throttle

GROW_EVERY = 0.2
CLAIM = 5.0
"""Seconds that a claim under way may take when all ends."""

MakeSupply = Callable[[Callable[[], Sequence[Order]]], Supply]
MakeLanes = Callable[[Supply], Lanes]


class Road:
    """Grows connections while mail waits for one. `orders` says what it may claim."""

    def __init__(
        self,
        make_supply: MakeSupply,
        make_lanes: MakeLanes,
        throttle: Throttle,
        orders: Callable[[], Sequence[Order]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._failed = failed
        self.throttle = throttle
        self.supply = make_supply(orders)
        self.lanes = make_lanes(self.supply)
        self._helpers: list[asyncio.Task[None]] = []
        self._connections: list[asyncio.Task[None]] = []

    def open(self, connections: int = 1) -> None:
        """Begins to send, with so many connections at first."""
        helpers = (self.supply.run(), self.lanes.sessions.watch(), self._grow())
        self._helpers = [self._task(helper) for helper in helpers]
        self._add(connections)

    def lose(self) -> None:
        """The lease is gone: sockets first."""
        self.lanes.sessions.abort_all()

    async def close(self, patience: float) -> None:
        """Ends in peace: what is under way ends (or is cut off after so many seconds), connections close, claims go back."""
        self.lanes.stop()
        self.supply.close()
        if self._helpers:
            await self.supply.last_claim(CLAIM)
        if self._connections:
            await asyncio.wait(self._connections, timeout=patience)
        self.lanes.sessions.abort_all()
        if self._connections:
            await asyncio.wait(self._connections, timeout=1.0)
        everything = [*self._helpers, *self._connections]
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)
        # One that was just being opened may have come about.
        self.lanes.sessions.abort_all()
        await self.supply.give_all_back()

    async def _grow(self) -> None:
        while True:
            await asyncio.sleep(GROW_EVERY)
            missing = self.throttle.connections - len(self._connections)
            if self.supply.waiting and missing > 0:
                self._add(min(len(self._connections) or 1, missing))

    def _add(self, count: int) -> None:
        self._connections += [self._task(self.lanes.lane()) for _ in range(count)]

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that failed fails the road: nothing goes on half."""
        if not task.cancelled() and (wrong := task.exception()) is not None:
            self._failed(wrong)
