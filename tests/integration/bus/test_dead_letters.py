"""integration: an event that cannot be applied is kept, its key waits behind it, other keys go on, a replay mends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from bus_house import BusHouse, Told, working
from bus_road import Road, until
from mailmaker.common.bus.courier import Courier
from mailmaker.common.bus.fate import Discard, Retry
from mailmaker.common.bus.protocol import Bus
from mailmaker.common.storage.engine import Database, Heard
from mailmaker.common.web.problem import Unavailable

Make = Callable[[str], Awaitable[Database]]
_LETTERS = "SELECT key, reason, attempts, behind, id, value FROM dead_letters ORDER BY parked_at"


class Sick:
    """A handler that fails on chosen texts, as often and as told."""

    def __init__(self, house: BusHouse, **failures: Callable[[], Exception]) -> None:
        self.house, self.failures = house, dict(failures)
        self.tried: list[str] = []

    async def __call__(self, event: Told, heard: Heard) -> None:
        self.tried.append(event.text)
        if event.text in self.failures:
            raise self.failures[event.text]()
        await self.house.apply(event, heard)


@pytest.fixture
async def house(road: Road, database_of: Make) -> BusHouse:
    return BusHouse(await database_of("dispatch"), road.declared)


@pytest.fixture
async def bus(road: Road) -> Bus:
    return await road.open()


async def letters(house: BusHouse) -> Sequence[Any]:
    return await house.rows(_LETTERS)


async def test_after_five_failures_it_is_parked_its_key_behind_it_and_a_replay_applies_all_in_order(
    house: BusHouse, bus: Bus
) -> None:
    handler = Sick(house, a2=lambda: RuntimeError("poison"))
    consumer = house.consumer(bus, handler)
    await bus.start()
    async with working(consumer, Courier(house.db, bus)):
        await house.tell(("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"))
        await house.tell(("a", "a4"), ("b", "b2"))

        async def settled() -> bool:
            return len(await letters(house)) == 3 and await house.applied() == {
                "a": ["a1"],
                "b": ["b1", "b2"],
            }

        await until(settled)
        assert handler.tried.count("a2") == 5
        kept = await letters(house)
        assert [row["reason"] for row in kept] == ["RuntimeError", *["behind a parked event of its key"] * 2]
        assert {row["behind"] for row in kept} == {kept[0]["id"]}
        assert (await consumer.replay()).waiting == 1  # still sick: nothing moves
        assert len(await letters(house)) == 3
        handler.failures.clear()
        done = await consumer.replay()
        assert (done.applied, done.waiting) == (3, 0)
        await house.tell(("a", "a5"))

        async def whole() -> bool:
            return (await house.applied())["a"] == ["a1", "a2", "a3", "a4", "a5"]

        await until(whole)
        assert not await letters(house)


async def test_a_new_member_knows_which_keys_wait(house: BusHouse, bus: Bus, road: Road) -> None:
    first = house.consumer(bus, Sick(house, a1=lambda: RuntimeError("poison")))
    await bus.start()
    async with working(first, Courier(house.db, bus)):
        await house.tell(("a", "a1"))

        async def parked() -> bool:
            return len(await letters(house)) == 1 and await house.waiting() == 0

        await until(parked)
    await bus.stop()
    again = await road.open()
    second = house.consumer(again)
    await again.start()
    async with working(second, Courier(house.db, again)):
        await house.tell(("a", "a2"), ("b", "b1"))

        async def behind() -> bool:
            return len(await letters(house)) == 2 and (await house.applied()).get("b") == ["b1"]

        await until(behind)
        assert "a" not in await house.applied()
        await second.replay()
    assert await house.applied() == {"a": ["a1", "a2"], "b": ["b1"]}


async def test_a_discarded_event_is_kept_with_its_reason_and_holds_nobody_up(
    house: BusHouse, bus: Bus
) -> None:
    consumer = house.consumer(bus, Sick(house, a1=lambda: Discard("its mailing is gone")))
    await bus.start()
    async with working(consumer, Courier(house.db, bus)):
        await house.tell(("a", "a1"), ("a", "a2"))

        async def applied() -> bool:
            return await house.applied() == {"a": ["a2"]}

        await until(applied)
    (kept,) = await letters(house)
    assert (kept["reason"], kept["attempts"], kept["behind"]) == ("its mailing is gone", 1, None)


async def test_retry_and_something_being_away_are_not_counted_as_failures(house: BusHouse, bus: Bus) -> None:
    left = 12

    def not_yet() -> Exception:
        nonlocal left
        left -= 1
        if not left:
            del handler.failures["a1"]
        return Retry(0.001) if left % 2 else Unavailable("away")

    handler = Sick(house, a1=not_yet)
    consumer = house.consumer(bus, handler)
    await bus.start()
    async with working(consumer, Courier(house.db, bus)):
        await house.tell(("a", "a1"), ("a", "a2"))

        async def applied() -> bool:
            return await house.applied() == {"a": ["a1", "a2"]}

        await until(applied)
    assert not await letters(house)
    assert handler.tried.count("a1") == 13


async def test_patience_with_retry_ends(house: BusHouse, bus: Bus) -> None:
    consumer = house.consumer(bus, Sick(house, a1=lambda: Retry(0.01)), patience=0.1)
    await bus.start()
    async with working(consumer, Courier(house.db, bus)):
        await house.tell(("a", "a1"))

        async def parked() -> bool:
            return [row["reason"] for row in await letters(house)] == ["Retry"]

        await until(parked)


async def test_an_unreadable_event_is_parked_at_once_and_its_reason_does_not_quote_it(
    house: BusHouse, bus: Bus
) -> None:
    consumer = house.consumer(bus)
    await bus.start()
    async with working(consumer, Courier(house.db, bus)):
        async with house.db.account(house.account) as tx:
            await tx.driver.execute(
                """INSERT INTO outbox (account_id, topic, key, headers, value, staged_at)
                   VALUES ($1, $2, 'a', '{"ce_id": "x", "ce_type": "test.told"}', $3, clock_timestamp())""",
                house.account,
                house.told.topic.name,
                b'{"account_id": "person@example.com"}',
            )
        await house.tell(("a", "a1"), ("b", "b1"))

        async def settled() -> bool:
            return len(await letters(house)) == 2 and await house.applied() == {"b": ["b1"]}

        await until(settled)
    kept = await letters(house)
    assert kept[0]["reason"].startswith("not readable: /account_id uuid_parsing")
    assert "person" not in kept[0]["reason"]
    assert kept[0]["attempts"] == 1


async def test_unknown_types_are_passed_over(house: BusHouse, bus: Bus) -> None:
    consumer = house.consumer(bus)
    await bus.start()
    async with working(consumer, Courier(house.db, bus)):
        async with house.db.account(house.account) as tx:
            await tx.driver.execute(
                """INSERT INTO outbox (account_id, topic, key, headers, value, staged_at)
                   VALUES ($1, $2, 'a', '{"ce_id": "y", "ce_type": "test.newer"}', '{}', clock_timestamp())""",
                house.account,
                house.told.topic.name,
            )
        await house.tell(("a", "a1"))

        async def applied() -> bool:
            return await house.applied() == {"a": ["a1"]} and await house.waiting() == 0

        await until(applied)
    assert not await letters(house)


async def test_while_postgres_cannot_even_park_the_record_stays_on_the_bus(house: BusHouse, bus: Bus) -> None:
    """Neither applied nor kept: it comes again until one of both is committed."""
    consumer = house.consumer(bus, Sick(house, a1=lambda: RuntimeError("poison")))
    broken = 3
    park = consumer._letters.park

    async def cannot(*args: Any) -> None:
        nonlocal broken
        if broken:
            broken -= 1
            raise Unavailable("PostgreSQL does not answer")
        await park(*args)

    consumer._letters.park = cannot  # type: ignore[method-assign, assignment]
    await bus.start()
    async with working(consumer, Courier(house.db, bus)):
        await house.tell(("a", "a1"), ("a", "a2"))

        async def parked() -> bool:
            return len(await letters(house)) == 2

        await until(parked)
    assert broken == 0
