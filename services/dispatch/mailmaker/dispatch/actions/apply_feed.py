"""dispatch.actions: applies suppression's feed: from "enforced" on, no send to a "no" begins (design section 6)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from mailmaker.common.contracts.deliveries import SuppressionEnforced
from mailmaker.common.contracts.internal import Enforcement, FeedItem, FeedPage, InFlight
from mailmaker.common.feed import FeedFollower
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.common.storage.transaction import Transaction
from mailmaker.common.web.internal import Refused, Unreachable
from mailmaker.dispatch.domain.directives import Directive, directives_of, latest, stopping
from mailmaker.dispatch.storage import directives as standing
from mailmaker.dispatch.storage.returns import give_back

WAIT = 0.2
"""Seconds a pull may be held open: how long a standby must wait to know that nobody applies the feed."""
CONFIRM_EVERY = 0.5
"""Seconds: a stream of "no"s moves the position; what it vouches for need not be written with each of them."""
SLOW = 0.5
ENFORCED = "/internal/enforced"
Named = dict[int, list[InFlight]]


class FeedApplier:
    """A worker: follows the feed and applies each batch in two commits. Several processes may run it at once: the
    position's row lock lets one second commit through, and the first commit may be repeated by anybody."""

    name = "feed"

    def __init__(
        self, db: Database, follower: FeedFollower, clock: Clock, metrics: Metrics, *, patience: float = 0.0
    ) -> None:
        self._patience = patience
        self._db = db
        self._follower = follower
        self._clock = clock
        self._wake = asyncio.Event()
        self._position = -1
        self._confirmed = 0.0
        self._log = logger("dispatch.actions")
        self._latency = metrics.seconds(
            "mailmaker_suppression_enforced_seconds", "From a recorded no to enforced.", ("door",)
        )
        self._age = metrics.gauge("mailmaker_feed_watermark_age_seconds", "Age of what the feed vouches for.")
        self._applied = metrics.counter("mailmaker_feed_items_applied", "Feed items applied by this process.")

    def wake(self, number: int) -> None:
        """Somebody heard of a feed item: look now if it is not applied yet."""
        if number > self._position:
            self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Follows the feed until told to stop. Silence of suppression only makes the watermark older."""
        pause = 0.05
        while not stop.is_set():
            try:
                if not await self._stands_by():
                    await self.step()
                    pause = 0.05
                    continue
                pause = self._patience / 4
            except (Unreachable, StorageUnavailable, Refused) as wrong:
                self._log.info("feed not followed", reason=str(wrong))
                pause = min(pause * 2, 1.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def _stands_by(self) -> bool:
        """Whether another process keeps the feed moving, so that this one need not."""
        if self._patience == 0:
            return False
        async with self._db.platform() as tx:
            return await standing.followed_for(tx) < self._patience

    async def step(self) -> int:
        """One pull and what it brings. Returns the items applied here."""
        if self._position < 0 or self._patience:
            async with self._db.platform() as tx:
                self._position = await standing.position(tx)
        after = self._position
        asked = self._clock.boot()
        page = await self._pull(after)
        pulled = self._clock.boot()
        done = await self.apply(after, page.items)
        if (took := self._clock.boot() - pulled) > SLOW:
            self._log.warning("feed applied slowly", items=len(page.items), seconds=round(took, 3))
        if done is None:
            # Another applier was faster: begin again from where it got to.
            self._position = -1
            return 0
        if done >= page.head and (not page.items or asked - self._confirmed > CONFIRM_EVERY):
            self._confirmed = asked
            age = page.confirmed_age + self._clock.boot() - asked
            self._age.set(age)
            async with self._db.platform() as tx:
                await standing.confirm(tx, age)
        return len(page.items)

    async def _pull(self, after: int) -> FeedPage:
        """A long poll, cut short by a wake."""
        self._wake.clear()
        pull = asyncio.create_task(self._follower.pull(after, wait=WAIT))
        wake = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({pull, wake}, return_when=asyncio.FIRST_COMPLETED)
            if pull.done():
                return pull.result()
        finally:
            for task in (pull, wake):
                task.cancel()
            await asyncio.gather(pull, wake, return_exceptions=True)
        return await self._follower.pull(after, wait=0)

    async def apply(self, after: int, items: Sequence[FeedItem]) -> int | None:
        """Both commits of one batch that follows `after`. Returns the position reached, None when another applier was
        faster: then nothing of the second commit was done here."""
        if not items:
            return after
        found = directives_of(items)
        async with self._db.platform() as tx:
            await standing.stand(tx, latest(found))
        # A new transaction: its statements see every claim that missed the commit above.
        async with self._db.platform() as tx:
            if await standing.position(tx, lock=True) != after:
                return None
            stopped, in_flight = await stop_and_name(tx, stopping(found), "suppressed")
            # Read after the statements above, never the transaction's start: nothing may be promised for earlier.
            at = await standing.advance(tx, items[-1].number)
            self._enforce(tx, at, items, stopped, in_flight)
        self._position = items[-1].number
        self._applied.inc(len(items))
        return self._position

    def _enforce(
        self, tx: Transaction, at: datetime, items: Sequence[FeedItem], stopped: Named, in_flight: Named
    ) -> None:
        """Writes "enforced" of each "no": handed to the ledger, told on the bus."""
        for item in items:
            if item.released:
                continue
            ended, begun = stopped.get(item.number, []), in_flight.get(item.number, [])
            word = Enforcement(
                number=item.number,
                account_id=item.account_id,
                suppression_id=item.suppression_id,
                enforced_at=at,
                stopped=tuple(ended),
                in_flight=tuple(begun),
            )
            tx.hand_over("suppression", ENFORCED, word, account_id=item.account_id)
            tx.stage(
                SuppressionEnforced(
                    account_id=item.account_id,
                    occurred_at=at,
                    suppression_id=item.suppression_id,
                    number=item.number,
                    enforced_at=at,
                    stopped=len(ended),
                    in_flight=tuple(m.message for m in begun),
                )
            )
            self._latency.labels(item.door).observe(max(0.0, (at - item.recorded_at).total_seconds()))


async def stop_and_name(tx: Transaction, directives: Sequence[Directive], state: str) -> tuple[Named, Named]:
    """Stops what has not begun and names what has, by the number of the directive."""
    rows = await standing.stop(tx, directives, state)
    await give_back(tx, rows)
    stopped: Named = defaultdict(list)
    for row in rows:
        stopped[row["number"]].append(
            InFlight(message=row["id"], mailing=row["mailing_id"], channel=row["channel"])
        )
    begun: Named = defaultdict(list)
    for row in await standing.in_flight(tx, directives):
        begun[row["number"]].append(
            InFlight(message=row["id"], mailing=row["mailing_id"], channel=row["channel"])
        )
    return stopped, begun
