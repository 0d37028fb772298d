"""dispatch.relay: the egress paths of one relay: taken where mail is due and nobody is at it, given up when there is none.

A path (a source and a lane) is held by one relay, which alone enforces its limits. Relays share the paths evenly; what
stays without a holder for a moment is anybody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.dispatch.actions.warm_up import draw_block
from mailmaker.dispatch.actions.watch_egress import grant_paths, look_out, release_paths, take_paths
from mailmaker.dispatch.domain.egress import Egress, Source
from mailmaker.dispatch.domain.leading import PathKey, Share, lead, may_leave, source_of
from mailmaker.dispatch.domain.running import Order
from mailmaker.dispatch.domain.warmup import Tally
from mailmaker.dispatch.relay.budget import Budget
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.relay.road import Road
from mailmaker.dispatch.relay.view import RelayView

EVERY = 0.5
STALE = 3.0
"""Seconds: rules and sources that were seen longer ago lead nothing (fail closed)."""
IDLE_FOR = 20.0
"""Seconds without mail after which a path is given up."""
LEFT_FOR = 2.0
"""Seconds after which a relay takes what is due and held by nobody, though it has its share."""
GRANT_EVERY = 5.0
AGAIN_AFTER = 30.0
"""Seconds for which this relay leaves a path alone on which something went wrong that should not."""
PATIENCE = 20.0
BLOCK = 100
"""Messages of a warm-up's budget that a path draws at once. What is left of them when the hour ends is lost."""
NOTHING_LEFT = 15.0
"""Seconds after which a budget that was used up is asked for again."""

Orders = Callable[[], Sequence[Order]]
Takes = Callable[[Mail], bool]
Failed = Callable[[BaseException], None]
Making = Callable[[Source, str, Orders, Takes, Failed], Road]
"""Makes the road of a source and a lane, with what it may claim, what it may still send, and who is told that it failed."""
Most = Callable[[Source, str], int]
"""The connections that a path may have open, all relays together."""


class Roads:
    """A helper of one relay's shift."""

    def __init__(
        self, db: Database, clock: Clock, fence: int, view: RelayView, make: Making, most: Most, at_most: int
    ) -> None:
        self._db = db
        self._clock = clock
        self._fence = fence
        self._view = view
        self._make = make
        self._most = most
        self._at_most = at_most
        self._ways: Mapping[UUID, Egress] = {}
        self._shares: Mapping[PathKey, Sequence[Share]] = {}
        self._roads: dict[PathKey, Road] = {}
        self._used: dict[PathKey, float] = {}
        self._left: dict[PathKey, float] = {}
        self._allowed: dict[tuple[UUID, UUID, UUID, str], bool] = {}
        self._granted = 0.0
        self._seen_at = float("-inf")
        self._ask_again: dict[PathKey, float] = {}
        self._closing: dict[asyncio.Task[None], Road] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.step()
            except StorageUnavailable as wrong:
                logger("dispatch.relay").info("paths not looked at", reason=str(wrong))
            await asyncio.sleep(EVERY)

    async def draw_on(self) -> None:
        """Draws what sources that warm up may send. Until cancelled."""
        while True:
            try:
                await self._draw()
            except StorageUnavailable as wrong:
                logger("dispatch.relay").info("no budget drawn", reason=str(wrong))
            await asyncio.sleep(EVERY)

    async def step(self) -> None:
        """One look: takes, gives up, and says what each path may claim."""
        mailings = [mailing for mailing in self._view.running.values() if mailing.pooled]
        if not mailings and not self._roads:
            return
        asked = self._clock.boot()
        seen = await look_out(self._db, mailings)
        self._ways, self._allowed, self._seen_at = seen.egress, {}, asked
        self._shares = lead(seen.egress, mailings, seen.due)
        await self._give_up()
        free = [key for key in self._shares if key not in seen.held and key not in self._roads]
        await self._take(free, -(-len(self._shares) // max(1, seen.relays)))
        if self._clock.boot() - self._granted > GRANT_EVERY:
            await self._grant()

    async def close(self, patience: float) -> None:
        """Ends all roads in peace. The relay gives its paths up with its lease."""
        roads = [road.close(patience) for road in self._roads.values()]
        await asyncio.gather(*roads, *self._closing, return_exceptions=True)
        self._roads.clear()

    def lose(self) -> None:
        """The lease is gone: sockets first."""
        for road in [*self._roads.values(), *self._closing.values()]:
            road.lose()

    @property
    def busy(self) -> bool:
        """Whether anything is claimed and not handed out yet."""
        return any(road.supply.busy for road in self._roads.values())

    async def _take(self, free: Sequence[PathKey], fair: int) -> None:
        """Its fair share of what nobody holds; more of what has been left lying."""
        now = self._clock.boot()
        free = [key for key in free if self._left.get(key, now) <= now]
        self._left = {key: at for key, at in self._left.items() if key in free or at > now}
        for key in free:
            self._left.setdefault(key, now)
        room = max(0, self._at_most - len(self._roads))
        # Each relay begins elsewhere in the list, or all would reach for the same ones.
        turn = sorted(free, key=lambda key: hash((self._fence, key)))
        mine = turn[: max(0, fair - len(self._roads))]
        mine += [key for key in turn[len(mine) :] if now - self._left[key] > LEFT_FOR]
        wanted = {}
        for key in mine[:room]:
            source = source_of(self._ways, key)
            if source is not None:
                wanted[key] = self._most(source, key[2])
        if not wanted:
            return
        for key, connections in (await take_paths(self._db, wanted, self._fence)).items():
            self._begin(key, connections)

    def _begin(self, key: PathKey, connections: int) -> None:
        source = source_of(self._ways, key)
        if source is None:
            return
        orders, takes = partial(self._orders, key), partial(self._takes, key)
        road = self._make(source, key[2], orders, takes, partial(self._failed, key))
        road.throttle.granted = connections
        # Of a warming source nothing leaves before the first block is drawn.
        road.throttle.budget = Budget() if source.warming else None
        self._roads[key], self._used[key] = road, self._clock.boot()
        logger("dispatch.relay").info("path taken", source=source.name, lane=key[2], connections=connections)
        road.open()

    async def _give_up(self) -> None:
        """Roads whose source is gone, and those that have had nothing to do for a while."""
        now = self._clock.boot()
        for key, road in list(self._roads.items()):
            if key in self._shares or road.supply.busy or not road.lanes.sessions.resting:
                self._used[key] = now
            if source_of(self._ways, key) is None or now - self._used[key] > IDLE_FOR:
                self._close(key)

    def _failed(self, key: PathKey, wrong: BaseException) -> None:
        """What goes wrong on one path ends that path, and no other; it is tried again after a while."""
        if key in self._roads:
            logger("dispatch.relay").error("a path failed", lane=key[2], error=type(wrong).__name__)
            self._left[key] = self._clock.boot() + AGAIN_AFTER
            self._close(key)

    def _close(self, key: PathKey) -> None:
        road = self._roads.pop(key)
        del self._used[key]
        self._ask_again.pop(key, None)
        task = asyncio.create_task(self._end(key, road))
        self._closing[task] = road
        task.add_done_callback(lambda done: self._closing.pop(done, None))

    async def _end(self, key: PathKey, road: Road) -> None:
        await road.close(PATIENCE)
        try:
            await release_paths(self._db, [key], self._fence)
        except StorageUnavailable as wrong:
            logger("dispatch.relay").warning("path not released; it ends with the lease", reason=str(wrong))

    async def _grant(self) -> None:
        """Connections that lost relays may have had open come back in time."""
        most = {}
        for key in self._roads:
            source = source_of(self._ways, key)
            if source is not None:
                most[key] = self._most(source, key[2])
        if most:
            granted = await grant_paths(self._db, most, self._fence)
            for key in most:
                if key in self._roads:
                    self._roads[key].throttle.granted = granted.get(key, 0)
        self._granted = self._clock.boot()

    async def _draw(self) -> None:
        """Another part of what a source that warms up may send, before the last one is used up."""
        for key, road in list(self._roads.items()):
            source, now = source_of(self._ways, key), self._clock.boot()
            if source is None or not source.warming:
                road.throttle.budget = None
                continue
            has = road.throttle.budget = road.throttle.budget or Budget()
            if has.left(now) > BLOCK // 2 or now < self._ask_again.get(key, 0.0):
                continue
            spent = Tally(has.sent, has.deferred)
            wanted = BLOCK - has.left(now)
            block = await draw_block(self._db, source, key[2], wanted, spent, self._clock.now())
            has.sent, has.deferred = has.sent - spent.sent, has.deferred - spent.deferred
            left = (block.until - self._clock.now()).total_seconds()
            has.messages, has.until = has.left(now) + block.messages, now + left
            self._ask_again[key] = now + (EVERY if block.messages else NOTHING_LEFT)

    def _orders(self, key: PathKey) -> list[Order]:
        """What a path may claim now: nothing while its site is left alone."""
        now = self._clock.boot()
        if now - self._seen_at > STALE or key not in self._roads or self._roads[key].throttle.room(now) <= 0:
            return []
        running = self._view.running
        return [
            Order(mailing, share.routes, share.lane)
            for share in self._shares.get(key, ())
            if (mailing := running.get(share.mailing_id)) is not None and mailing.due and not mailing.over
        ]

    def _takes(self, key: PathKey, mail: Mail) -> bool:
        """Whether a mail may still leave by the path."""
        mailing, out = self._view.running.get(mail.mailing_id), self._ways.get(key[0])
        stale = self._clock.boot() - self._seen_at > STALE
        if mailing is None or out is None or mail.account_id != key[0] or stale:
            return False
        question = key[1], mail.mailing_id, mail.list_id, key[2]
        if question not in self._allowed:
            self._allowed[question] = may_leave(out, key[1], key[2], mailing, mail.list_id)
        return self._allowed[question]
