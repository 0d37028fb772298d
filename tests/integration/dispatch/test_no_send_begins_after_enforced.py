"""tests: invariant 1 as a randomised model on real PostgreSQL: real claims, begins and outcomes by several relays, two
appliers of the feed, an expansion on the way, and a random pause inside every transaction just before its commit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from dispatch_street import CLOCK, Person, Street, a_no
from mailmaker.common.contracts.internal import Enforcement, FeedItem
from mailmaker.common.feed import FeedFollower
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.actions.apply_feed import FeedApplier
from mailmaker.dispatch.actions.claim_batch import claim_batch
from mailmaker.dispatch.domain.running import Order, RunningMailing
from mailmaker.dispatch.storage import outcomes, relays
from mailmaker.dispatch.storage.outcomes import Ended
from mailmaker.dispatch.storage.returns import give_back

PEOPLE = 1200
NOES = 240
RELAYS = 6
SEED = 20261124


class Hesitant:
    """The database, with every transaction pausing before it commits."""

    def __init__(self, db: Database, chance: random.Random) -> None:
        self._db, self._chance = db, chance
        self.house = db.house

    @contextlib.asynccontextmanager
    async def platform(self) -> AsyncIterator[Transaction]:
        async with self._db.platform() as tx:
            yield tx
            if self._chance.random() < 0.5:
                await asyncio.sleep(self._chance.random() * 0.03)


@dataclass
class Record:
    """What a server would have seen: when each message was sent, by contact."""

    sent: dict[UUID, list[tuple[datetime, UUID]]] = field(default_factory=lambda: defaultdict(list))
    sends: int = 0
    claimed: deque[UUID] = field(default_factory=lambda: deque(maxlen=60))
    """Those most likely to be under way when somebody says no: the model aims at them."""


class Relay:
    """Claims, begins, waits, settles: with the statements of the real one and no network."""

    def __init__(self, db: Database, seen: Record, chance: random.Random) -> None:
        self._db, self._seen, self._chance = db, seen, chance
        self._slow = cast(Database, Hesitant(db, chance))

    async def work(self, mailings: list[RunningMailing], stop: asyncio.Event) -> None:
        async with self._db.platform() as tx:
            fence = await relays.take(tx, 600, "test", 1, "")
        room = asyncio.Semaphore(4)
        async with asyncio.TaskGroup() as sending:
            await self._claim_on(mailings, stop, fence, room, sending)

    async def _claim_on(
        self,
        mailings: list[RunningMailing],
        stop: asyncio.Event,
        fence: int,
        room: asyncio.Semaphore,
        sending: asyncio.TaskGroup,
    ) -> None:
        while not stop.is_set():
            mailing = self._chance.choice(mailings)
            claimed = await claim_batch(self._slow, CLOCK, Order(mailing), fence, self._chance.randint(5, 40))
            if not claimed:
                await asyncio.sleep(0.01)
            self._seen.claimed.extend(row["contact_id"] for row in claimed)
            for chunk in _chunks(claimed, self._chance.randint(1, 8)):
                await room.acquire()
                task = sending.create_task(self._send(mailing, chunk, fence))
                task.add_done_callback(lambda _: room.release())

    async def _send(self, mailing: RunningMailing, rows: list[dict[str, UUID]], fence: int) -> None:
        attempts = {row["id"]: row for row in rows}
        beginning = [(mailing.account_id, row["id"], row["attempt_id"]) for row in rows]
        async with self._slow.platform() as tx:
            found = await outcomes.settle_and_begin(tx.driver, [], beginning, fence)
            begun = [row["id"] for row in found if row["begun"]]
        await asyncio.sleep(self._chance.random() ** 3)
        now = CLOCK.now()
        for one in begun:
            self._seen.sent[attempts[one]["contact_id"]].append((now, one))
        self._seen.sends += len(begun)
        ended = [
            Ended(
                mailing.account_id,
                one,
                attempts[one]["attempt_id"],
                state,
                None,
                now if state == "deferred" else None,
                True,
                250,
                "ok",
                0,
                now,
                "test",
            )
            for one in begun
            if (state := self._chance.choice(["delivered", "deferred", "deferred", "stuck"])) != "stuck"
        ]
        async with self._slow.platform() as tx:
            rows_back = await outcomes.settle_and_begin(tx.driver, ended, [], fence)
            await give_back(tx, [row for row in rows_back if not row["begun"]])


class Feed:
    """suppression's feed, growing."""

    def __init__(self) -> None:
        self.items: list[FeedItem] = []

    async def follow(self, db: Database, chance: random.Random, stop: asyncio.Event) -> None:
        slow = cast(Database, Hesitant(db, chance))
        applier = FeedApplier(slow, cast(FeedFollower, None), CLOCK, Metrics())
        while not stop.is_set() or await _position(db) < len(self.items):
            after = await _position(db)
            await applier.apply(after, self.items[after : after + chance.randint(1, 25)])
            await asyncio.sleep(chance.random() * 0.01)


async def test_no_send_begins_after_enforced(street: Street) -> None:
    chance = random.Random(SEED)
    people = [Person(f"p{n}@x.test") for n in range(PEOPLE)]
    listed = street.contacts.open_list(people, {"day": 50})
    first = await street.mailing(listed)
    second = await street.mailing(listed, expand=False)
    async with street.db.platform() as tx:
        rows = await tx.driver.fetch("SELECT * FROM mailings")
    mailings = [
        RunningMailing(
            r["account_id"],
            r["id"],
            r["number"],
            r["channel"],
            r["class"],
            tuple(r["list_ids"]),
            r["valid_until"],
            True,
            False,
            r["sender_id"],
            "demo.test",
            None,
            False,
        )
        for r in rows
    ]
    assert {m.id for m in mailings} == {first.id, second.id}
    seen, feed, stop = Record(), Feed(), asyncio.Event()

    async def say_no() -> None:
        left = {person.contact_id: person for person in people}
        for number in range(1, NOES + 1):
            aimed = [contact for contact in seen.claimed if contact in left and chance.random() < 0.8]
            person = left.pop(chance.choice(aimed or list(left)))
            feed.items.append(a_no(street, number, person, listed if chance.random() < 0.5 else None))
            if number == NOES // 3:
                assert await street.expander.step()
            await asyncio.sleep(chance.random() * 0.02)
        while True:
            if await _position(street.db) == NOES:
                return stop.set()
            await asyncio.sleep(0.01)

    async with asyncio.timeout(90), asyncio.TaskGroup() as tasks:
        for n in range(RELAYS):
            tasks.create_task(Relay(street.db, seen, random.Random(SEED + n)).work(mailings, stop))
        for n in range(2):
            tasks.create_task(feed.follow(street.db, random.Random(SEED + 100 + n), stop))
        tasks.create_task(say_no())

    enforced = await _enforced(street.db)
    assert sorted(enforced) == list(range(1, NOES + 1)), "each no is enforced exactly once"
    by_contact = {UUID(hex=item.subjects[1][2:]): enforced[item.number] for item in feed.items}
    late = [
        (message, at, word.enforced_at)
        for contact, word in by_contact.items()
        for at, message in seen.sent[contact]
        if at > word.enforced_at and message not in {named.message for named in word.in_flight}
    ]
    assert late == []
    after = [
        at for contact, word in by_contact.items() for at, _ in seen.sent[contact] if at > word.enforced_at
    ]
    assert len(after) > 3, "nothing was in flight when it was enforced: the model shows nothing"
    stopped = {one.message for word in enforced.values() for one in word.stopped}
    assert len(stopped) > NOES / 4
    async with street.db.platform() as tx:
        left = await tx.driver.fetch("SELECT id, state FROM messages WHERE id = ANY($1)", list(stopped))
    assert {row["state"] for row in left} == {"suppressed"}
    await _caps_hold_what_was_begun(street.db)


async def _caps_hold_what_was_begun(db: Database) -> None:
    """Every reservation belongs to a message that has it, and the other way round."""
    async with db.platform() as tx:
        reserved = await tx.driver.fetchval("SELECT coalesce(sum(cardinality(instants)), 0) FROM caps")
        held = await tx.driver.fetchval("SELECT count(*) FROM messages WHERE cap_instant IS NOT NULL")
    assert reserved == held


async def _enforced(db: Database) -> dict[int, Enforcement]:
    async with db.platform() as tx:
        bodies = await tx.driver.fetch("SELECT body FROM handovers WHERE path = '/internal/enforced'")
    words = [Enforcement.model_validate_json(json.dumps(row["body"])) for row in bodies]
    assert len({word.number for word in words}) == len(words)
    assert all(word.enforced_at < CLOCK.now() + timedelta(seconds=1) for word in words)
    return {word.number: word for word in words}


async def _position(db: Database) -> int:
    async with db.platform() as tx:
        return int(await tx.driver.fetchval("SELECT number FROM feed_position"))


def _chunks(rows: list[dict[str, UUID]], size: int) -> Iterator[list[dict[str, UUID]]]:
    for at in range(0, len(rows), size):
        yield rows[at : at + size]
