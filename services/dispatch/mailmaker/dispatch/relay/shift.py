"""dispatch.relay: all that one relay does under one fence; its sockets close before anything else when that is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.dispatch.actions.begin_and_settle import BeginAndSettle
from mailmaker.dispatch.actions.hold_lease import leave, renew_lease
from mailmaker.dispatch.domain.egress import Source
from mailmaker.dispatch.domain.leases import RENEW_EVERY, Lease
from mailmaker.dispatch.domain.retry import RetryPlan
from mailmaker.dispatch.domain.running import Order
from mailmaker.dispatch.relay.connect import Smarthost
from mailmaker.dispatch.relay.group import GroupCommit
from mailmaker.dispatch.relay.lanes import Lanes
from mailmaker.dispatch.relay.prepare import Preparer
from mailmaker.dispatch.relay.road import Road
from mailmaker.dispatch.relay.roads import Failed, Orders, Roads, Takes
from mailmaker.dispatch.relay.source import Sources
from mailmaker.dispatch.relay.supply import Supply
from mailmaker.dispatch.relay.throttle import Throttle, own_server
from mailmaker.dispatch.relay.view import RelayView
from mailmaker.dispatch.relay.way import PlatformWay, Way
from mailmaker.dispatch.render.mail import Doors

LOOK_BUSY, LOOK_IDLE = 0.1, 0.4
DRAIN = 15.0
LATE = 60.0
CHECK_LEASE = 0.2


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """What a relay is told. `smarthost` None: what has no pools waits. `connections`: to that server. `paths`: egress
    paths held at once. `threads` sign; the event loop keeps a core for itself."""

    smarthost: Smarthost | None
    doors: Doors
    connections: int = 20
    nice: int = 0
    threads: int = field(default_factory=lambda: max(1, min(4, (os.cpu_count() or 1) - 1)))
    plan: RetryPlan = field(default_factory=RetryPlan)
    paths: int = 200


class Shift:
    """One fence of one relay: the platform's own road, and the egress paths it holds."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: RelaySettings,
        preparer: Preparer,
        sources: Sources,
        count: Callable[[str], None],
        lease: Lease,
    ) -> None:
        self._db = db
        self._clock = clock
        self._settings = settings
        self._preparer = preparer
        self._sources = sources
        self._count = count
        self._lease = lease
        self._lost = asyncio.Event()
        self._failed = asyncio.Event()
        self._failure: BaseException | None = None
        self._leading: list[asyncio.Task[None]] = []
        self._view = RelayView(db, clock)
        self._group = GroupCommit(BeginAndSettle(db), lease.fence, clock.now, settings.connections)
        self._own = self._platform_road()
        self._roads = Roads(
            db, clock, lease.fence, self._view, self._path_road, sources.connections, settings.paths
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop, or the lease is lost."""
        log = logger("dispatch.relay")
        log.info("relay begins", fence=self._lease.fence)
        helpers: list[asyncio.Task[None]] = []
        try:
            helpers = [asyncio.create_task(self._hold())]
            await self._view.start()
            helpers += [asyncio.create_task(work) for work in (self._look(), self._group.run())]
            self._leading = [asyncio.create_task(work) for work in (self._roads.run(), self._roads.draw_on())]
            self._own.open(0 if self._settings.smarthost is None else self._settings.connections)
            ends = [asyncio.create_task(_waited(event)) for event in (stop, self._lost, self._failed)]
            await asyncio.wait([*ends, *helpers, *self._leading], return_when=asyncio.FIRST_COMPLETED)
            await _cancelled(ends)
        finally:
            await self._end(helpers)
        log.info("relay ends", fence=self._lease.fence, groups=self._group.groups, begun=self._group.grouped)
        for task in [*helpers, *self._leading]:
            if task.done() and not task.cancelled() and (wrong := task.exception()) is not None:
                raise wrong
        if self._failure is not None:
            raise self._failure

    def _platform_road(self) -> Road:
        server, connections = self._settings.smarthost, self._settings.connections
        way = PlatformWay(server, self._view, self._clock.boot)
        throttle = own_server(0 if server is None else connections, self._clock.boot())
        return self._road(way, throttle, self._own_orders, self._fail)

    def _path_road(self, source: Source, lane: str, orders: Orders, takes: Takes, failed: Failed) -> Road:
        way, throttle = self._sources.way(source, lane, takes), self._sources.throttle(source, lane)
        return self._road(way, throttle, orders, failed)

    def _road(self, way: Way, throttle: Throttle, orders: Orders, failed: Failed) -> Road:
        def supply(what: Orders) -> Supply:
            threads = self._settings.threads
            return Supply(
                self._db,
                self._clock,
                self._lease,
                self._view,
                self._preparer,
                threads,
                what,
                way.name,
                throttle.room,
            )

        def lanes(of: Supply) -> Lanes:
            plan, count = self._settings.plan, self._count
            return Lanes(self._clock, self._lease, self._view, of, self._group, way, throttle, plan, count)

        return Road(supply, lanes, throttle, orders, failed)

    def _own_orders(self) -> list[Order]:
        """What the platform's own server takes, and mailings that are over, whoever would have taken them."""
        sends = self._settings.smarthost is not None
        running = self._view.running.values()
        return [Order(m) for m in running if m.over or (m.due and sends and not m.pooled)]

    def _fail(self, wrong: BaseException) -> None:
        self._failure = self._failure or wrong
        self._failed.set()

    async def _end(self, helpers: list[asyncio.Task[None]]) -> None:
        """Transactions under way end (or are cut off with the lease), outcomes are written, claims go back."""
        if self._lost.is_set():
            self._lose()
        # No path is taken any more: one that is would be forgotten open.
        await _cancelled(self._leading)
        patience = 1.0 if self._lost.is_set() else DRAIN
        await asyncio.gather(self._own.close(patience), self._roads.close(patience))
        lost = await self._group.flush(LATE if self._lost.is_set() else 5.0)
        if lost:
            logger("dispatch.relay").error("outcomes not written", messages=lost)
        await _cancelled(helpers)
        with contextlib.suppress(StorageUnavailable):
            await leave(self._db, self._lease)

    def _lose(self) -> None:
        self._own.lose()
        self._roads.lose()

    async def _hold(self) -> None:
        """Renews the lease; says so when it is lost."""
        due = self._clock.boot() + RENEW_EVERY
        while self._lease.alive(self._clock.boot()):
            await asyncio.sleep(CHECK_LEASE)
            if self._clock.boot() < due:
                continue
            try:
                async with asyncio.timeout(RENEW_EVERY * 2):
                    if not await renew_lease(self._db, self._clock, self._lease):
                        break
                due = self._clock.boot() + RENEW_EVERY
            except (StorageUnavailable, TimeoutError) as wrong:
                logger("dispatch.relay").warning("lease not renewed", error=type(wrong).__name__)
        # Sockets first: nothing may be written any more under this fence.
        self._lease.lose()
        self._lose()
        logger("dispatch.relay").warning("lease lost", fence=self._lease.fence)
        self._lost.set()
        await asyncio.Event().wait()

    async def _look(self) -> None:
        """Keeps the view fresh: often while there is work, at ease when there is none."""
        while True:
            busy = self._own.supply.busy or self._roads.busy
            busy = busy or any(m.due for m in self._view.running.values())
            await asyncio.sleep(LOOK_BUSY if busy else LOOK_IDLE)
            try:
                await self._view.poll()
            except StorageUnavailable as wrong:
                logger("dispatch.relay").info("view not refreshed", reason=str(wrong))


async def _waited(event: asyncio.Event) -> None:
    await event.wait()


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
