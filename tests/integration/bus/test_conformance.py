"""integration: what every bus promises, on each bus."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from bus_road import Listener, Road, until
from mailmaker.common.bus.kafka import KafkaBus
from mailmaker.common.bus.protocol import Bus, BusUnavailable
from mailmaker.common.bus.record import Received, Record


async def publish_until_acknowledged(bus: Bus, records: list[Record]) -> None:
    """What the courier does: sends what is left, in the same order, until all of it is acknowledged."""
    left = records
    async with asyncio.timeout(60):
        while left:
            try:
                await bus.publish(left)
                return
            except BusUnavailable as wrong:
                left = [record for n, record in enumerate(left) if n not in wrong.acknowledged]
                await asyncio.sleep(0.05)


async def test_records_arrive_with_their_key_value_and_headers(road: Road) -> None:
    bus = await road.open()
    got: list[Received] = []

    async def handle(received: Received) -> None:
        got.append(received)

    await bus.start()
    await bus.subscribe("c", [road.topic], handle)
    sent = road.record("k", "v")
    await publish_until_acknowledged(bus, [sent])
    await until(lambda: len(got) == 1)
    assert got[0].record == sent


async def test_each_key_keeps_its_order(road: Road) -> None:
    bus, listener = await road.open(), Listener()
    await bus.start()
    await bus.subscribe("c", [road.topic], listener)
    records = [road.record(f"k{n % 7}", str(n)) for n in range(700)]
    for first in range(0, 700, 100):
        await publish_until_acknowledged(bus, records[first : first + 100])
    await until(lambda: listener.count == 700)
    assert listener.heard == {f"k{k}": [str(n) for n in range(k, 700, 7)] for k in range(7)}


async def test_a_record_whose_handler_fails_comes_again_before_those_behind_it(road: Road) -> None:
    bus, listener = await road.open(), Listener()
    falls = 2

    async def handle(received: Received) -> None:
        nonlocal falls
        if received.record.value == b"a1" and falls:
            falls -= 1
            raise RuntimeError("not yet")
        await listener(received)

    await bus.start()
    await bus.subscribe("c", [road.topic], handle)
    await publish_until_acknowledged(
        bus, [road.record("a", "a1"), road.record("a", "a2"), road.record("b", "b1")]
    )
    await until(lambda: listener.count == 3)
    assert listener.heard == {"a": ["a1", "a2"], "b": ["b1"]}


async def test_other_keys_go_on_while_one_waits(road: Road) -> None:
    bus, listener, gate = await road.open(), Listener(), asyncio.Event()

    async def handle(received: Received) -> None:
        if received.record.key == "slow":
            await gate.wait()
        await listener(received)

    await bus.start()
    await bus.subscribe("c", [road.topic], handle)
    records = [road.record("slow", "s"), *(road.record(f"k{n}", "x") for n in range(50))]
    publishing = asyncio.create_task(publish_until_acknowledged(bus, records))
    await until(lambda: listener.count == 50)
    assert "slow" not in listener.heard
    gate.set()
    await until(lambda: listener.count == 51)
    await publishing


async def test_every_consumer_hears_every_record(road: Road) -> None:
    bus, one, two = await road.open(), Listener(), Listener()
    await bus.start()
    await bus.subscribe("one", [road.topic], one)
    await bus.subscribe("two", [road.topic], two)
    await publish_until_acknowledged(bus, [road.record("k", str(n)) for n in range(20)])
    await until(lambda: one.count == two.count == 20)


async def test_what_a_dead_member_had_not_settled_comes_again(road: Road) -> None:
    """A crash between the handler's commit and the bus's: the record comes again, and nothing behind it is lost."""
    first, applied, stuck = await road.open(), Listener(), asyncio.Event()

    async def crash(received: Received) -> None:
        await applied(received)
        stuck.set()
        await asyncio.sleep(3600)

    await first.start()
    await first.subscribe("c", [road.topic], crash, member=None)
    records = [road.record("k", str(n)) for n in range(3)]
    publishing = asyncio.create_task(publish_until_acknowledged(first, records))
    await asyncio.wait_for(stuck.wait(), 30)
    await first.stop()  # the handler is cancelled before the bus knows of its commit
    second, listener = await road.open(), Listener()
    await second.start()
    await second.subscribe("c", [road.topic], listener)
    if road.kind == "memory":  # nothing was acknowledged: the outbox still has it
        assert not publishing.done()
        publishing.cancel()
        publishing = asyncio.create_task(publish_until_acknowledged(second, records))
    await until(lambda: listener.heard["k"] == ["0", "1", "2"])
    assert applied.heard["k"] == ["0"]
    await publishing


async def test_members_share_the_keys_and_take_over_from_each_other(road: Road) -> None:
    bus, left, right = await road.open(), Listener(), Listener()
    await bus.start()
    first = await bus.subscribe("c", [road.topic], left)
    total = 0

    async def send(count: int) -> None:
        nonlocal total
        records = [road.record(f"k{(total + n) % 16}", str(total + n)) for n in range(count)]
        total += count
        await publish_until_acknowledged(bus, records)

    await send(160)
    await until(lambda: left.count == 160)
    second = await bus.subscribe("c", [road.topic], right)

    async def both_hear() -> bool:
        before = left.count
        await send(16)
        await until(lambda: left.count + right.count >= total)
        return right.count > 0 and left.count > before

    await until(both_hear)
    await first.close()
    alone = left.count
    await send(160)
    await until(lambda: left.count + right.count >= total)
    assert left.count == alone
    heard = {key: left.heard[key] + right.heard[key] for key in {*left.heard, *right.heard}}
    assert {n for several in heard.values() for n in several} == {str(n) for n in range(total)}
    for mine in (left, right):  # at least once, and never backwards for a member
        assert all(several == sorted(several, key=int) for several in mine.heard.values())
    await second.close()


async def test_no_key_is_with_two_members_at_once_while_members_come_and_go(road: Road) -> None:
    bus = await road.open()
    busy: set[str] = set()
    done: set[str] = set()
    broken: list[str] = []

    async def handle(received: Received) -> None:
        key = received.record.key
        if key in busy:
            broken.append(key)
        busy.add(key)
        try:
            await asyncio.sleep(0.002)
            done.add(received.record.value.decode())
        finally:
            busy.discard(key)

    await bus.start()
    members = [await bus.subscribe("c", [road.topic], handle)]
    records = [road.record(f"k{n % 8}", str(n)) for n in range(400)]
    for step in range(4):
        publishing = asyncio.create_task(
            publish_until_acknowledged(bus, records[step * 100 : step * 100 + 100])
        )
        members.append(await bus.subscribe("c", [road.topic], handle))
        if step % 2:
            await members.pop(0).close()
        await publishing
    await until(lambda: len(done) == 400)
    assert broken == []


async def test_a_bus_that_cannot_acknowledge_says_so_in_time() -> None:
    bus = KafkaBus("127.0.0.1:1", publish_timeout=1.0)
    began = asyncio.get_running_loop().time()
    with pytest.raises(BusUnavailable):
        await bus.publish([Record("t", "k", b"v", {"ce_id": str(uuid4())})])
    assert asyncio.get_running_loop().time() - began < 3
    await bus.stop()
