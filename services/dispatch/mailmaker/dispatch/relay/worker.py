"""dispatch.relay: the worker: takes a lease, sends under it, and closes its sockets before anything else when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mailmaker.common.mail.tokens import TokenKeys
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.dispatch.actions.begin_and_settle import BeginAndSettle
from mailmaker.dispatch.actions.hold_lease import leave, renew_lease, take_lease
from mailmaker.dispatch.domain.leases import RENEW_EVERY, Lease
from mailmaker.dispatch.domain.retry import RetryPlan
from mailmaker.dispatch.relay.connect import Smarthost, connect
from mailmaker.dispatch.relay.group import GroupCommit
from mailmaker.dispatch.relay.lanes import Lanes
from mailmaker.dispatch.relay.prepare import Preparer
from mailmaker.dispatch.relay.supply import Supply
from mailmaker.dispatch.relay.view import RelayView
from mailmaker.dispatch.render.mail import Doors
from mailmaker.dispatch.storage.seal import Seal
from prometheus_client import Counter

LOOK_BUSY, LOOK_IDLE = 0.1, 0.4
DRAIN = 15.0
LATE = 60.0
CHECK_LEASE = 0.2


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """What a relay is told. `threads` sign; the event loop keeps a core for itself."""

    smarthost: Smarthost
    doors: Doors
    connections: int = 20
    nice: int = 0
    threads: int = field(default_factory=lambda: max(1, min(4, (os.cpu_count() or 1) - 1)))
    plan: RetryPlan = field(default_factory=RetryPlan)


class Relay:
    """A worker: sends what is due, as one fence at a time."""

    name = "relay"

    def __init__(
        self,
        db: Database,
        clock: Clock,
        keys: TokenKeys,
        seal: Seal,
        settings: RelaySettings,
        metrics: Metrics,
    ) -> None:
        self._db = db
        self._clock = clock
        self._keys = keys
        self._seal = seal
        self._settings = settings
        self._outcomes = metrics.counter("mailmaker_messages", "Attempts that ended.", ("outcome",))
        self._counters: dict[str, Counter] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop. A lost lease is followed by a new one, under a new fence."""
        os.nice(max(0, self._settings.nice - os.nice(0)))
        threads = self._settings.threads
        with ThreadPoolExecutor(threads, thread_name_prefix="sign") as executor:
            while not stop.is_set():
                lease = await take_lease(self._db, self._clock)
                shift = _Shift(self, lease, executor)
                await shift.run(stop)

    def count(self, outcome: str) -> None:
        counter = self._counters.get(outcome)
        if counter is None:
            counter = self._counters[outcome] = self._outcomes.labels(outcome)
        counter.inc()


class _Shift:
    """Everything one relay does under one fence."""

    def __init__(self, relay: Relay, lease: Lease, executor: Executor) -> None:
        db, clock, settings = relay._db, relay._clock, relay._settings
        self._db, self._clock, self._settings = db, clock, settings
        self.lease = lease
        self._lost = asyncio.Event()
        self._view = RelayView(db, clock)
        preparer = Preparer(db, clock, settings.doors, relay._keys, relay._seal, executor)
        self._supply = Supply(db, clock, lease, self._view, preparer, settings.threads)
        door = BeginAndSettle(db, settings.smarthost.name)
        self._group = GroupCommit(door, lease.fence, clock.now, settings.connections)
        self._lanes = Lanes(
            clock,
            lease,
            self._view,
            self._supply,
            self._group,
            lambda: connect(settings.smarthost, clock.boot),
            settings.plan,
            relay.count,
        )

    async def run(self, stop: asyncio.Event) -> None:
        log = logger("dispatch.relay")
        log.info("relay begins", fence=self.lease.fence)
        helpers: list[asyncio.Task[None]] = []
        lanes: list[asyncio.Task[None]] = []
        supply: asyncio.Task[None] | None = None
        try:
            helpers = [_task(self._hold())]
            await self._view.start()
            helpers += [_task(self._look()), _task(self._group.run()), _task(self._lanes.watch())]
            supply = _task(self._supply.run())
            lanes = [_task(self._lanes.lane()) for _ in range(self._settings.connections)]
            ends = [_task(_waited(stop)), _task(_waited(self._lost))]
            await asyncio.wait([*ends, *helpers, *lanes, supply], return_when=asyncio.FIRST_COMPLETED)
            await _cancelled(ends)
        finally:
            if self._lost.is_set():
                self._lanes.abort_all()
            self._lanes.stopping = True
            self._supply.close()
            await self._end(lanes, helpers, supply)
        log.info("relay ends", fence=self.lease.fence, groups=self._group.groups, begun=self._group.grouped)
        for task in [*helpers, *lanes, supply]:
            if task.done() and not task.cancelled() and (wrong := task.exception()) is not None:
                raise wrong

    async def _end(
        self,
        lanes: list[asyncio.Task[None]],
        helpers: list[asyncio.Task[None]],
        supply: asyncio.Task[None] | None,
    ) -> None:
        """Transactions under way end (or are cut off with the lease), outcomes are written, claims go back."""
        if supply is not None:
            await _cancelled([supply])
        if lanes:
            await asyncio.wait(lanes, timeout=1.0 if self._lost.is_set() else DRAIN)
            self._lanes.abort_all()
            await asyncio.wait(lanes, timeout=1.0)
        await _cancelled(lanes)
        lost = await self._group.flush(LATE if self._lost.is_set() else 5.0)
        if lost:
            logger("dispatch.relay").error("outcomes not written", messages=lost)
        await _cancelled(helpers)
        with contextlib.suppress(StorageUnavailable):
            await leave(self._db, self.lease)

    async def _hold(self) -> None:
        """Renews the lease; says so when it is lost."""
        due = self._clock.boot() + RENEW_EVERY
        while self.lease.alive(self._clock.boot()):
            await asyncio.sleep(CHECK_LEASE)
            if self._clock.boot() < due:
                continue
            try:
                async with asyncio.timeout(RENEW_EVERY * 2):
                    if not await renew_lease(self._db, self._clock, self.lease):
                        break
                due = self._clock.boot() + RENEW_EVERY
            except (StorageUnavailable, TimeoutError) as wrong:
                logger("dispatch.relay").warning("lease not renewed", error=type(wrong).__name__)
        # Sockets first: nothing may be written any more under this fence.
        self.lease.lose()
        self._lanes.abort_all()
        logger("dispatch.relay").warning("lease lost", fence=self.lease.fence)
        self._lost.set()
        await asyncio.Event().wait()

    async def _look(self) -> None:
        """Keeps the view fresh: often while there is work, at ease when there is none."""
        while True:
            busy = self._supply.busy or any(m.due for m in self._view.running.values())
            await asyncio.sleep(LOOK_BUSY if busy else LOOK_IDLE)
            try:
                await self._view.poll()
            except StorageUnavailable as wrong:
                logger("dispatch.relay").info("view not refreshed", reason=str(wrong))


def _task(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.create_task(work)


async def _waited(event: asyncio.Event) -> None:
    await event.wait()


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
