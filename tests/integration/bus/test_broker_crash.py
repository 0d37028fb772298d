"""integration: a broker that is killed and comes back: nothing acknowledged is lost, everybody goes on by himself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from bus_road import TIMES, Listener, until
from mailmaker.common.bus.kafka import KafkaBus
from mailmaker.common.bus.kafka_topics import make_topics
from mailmaker.common.bus.protocol import BusUnavailable
from mailmaker.common.bus.record import Record
from mailmaker.common.contracts.topic import Topic
from mailmaker.common.embedded.kafka import KafkaServer
from mailmaker.common.storage.ids import new_id


@pytest.fixture
async def own_kafka(tmp_path: Path) -> AsyncIterator[KafkaServer]:
    server = KafkaServer(tmp_path / "kafka")
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


async def test_nothing_acknowledged_is_lost_when_the_broker_is_killed(own_kafka: KafkaServer) -> None:
    topic = "t.crash.v1"
    await make_topics(
        own_kafka.address, [Topic(topic, "dispatch", "key", timedelta(days=1), "test", partitions=4)]
    )
    bus, listener = KafkaBus(own_kafka.address, publish_timeout=1.0, times=TIMES), Listener()
    await bus.subscribe("c", [topic], listener)
    acknowledged: list[str] = []
    refused = 0
    stop = asyncio.Event()

    async def courier() -> None:
        """Sends numbered records of four keys, each wave until it is acknowledged."""
        nonlocal refused
        n = 0
        while not stop.is_set():
            wave = [
                Record(topic, f"k{i % 4}", str(i).encode(), {"ce_id": str(new_id())})
                for i in range(n, n + 20)
            ]
            try:
                await bus.publish(wave)
            except BusUnavailable:
                refused += 1
                await asyncio.sleep(0.05)
                continue
            acknowledged.extend(record.value.decode() for record in wave)
            n += 20

    sending = asyncio.create_task(courier())
    await until(lambda: len(acknowledged) > 200 and listener.count > 200)
    await asyncio.to_thread(own_kafka.kill)
    await until(lambda: refused > 0)
    before = len(acknowledged)
    await asyncio.to_thread(own_kafka.start)
    await until(lambda: len(acknowledged) > before + 200, within=60)
    stop.set()
    await sending
    await until(
        lambda: {n for several in listener.heard.values() for n in several} >= set(acknowledged), within=60
    )
    for several in listener.heard.values():
        first_hearings = list(dict.fromkeys(several))
        assert first_hearings == sorted(first_hearings, key=int)
    await bus.stop()


async def test_a_member_that_restarts_under_its_name_keeps_its_share(kafka: str) -> None:
    topic = f"t{new_id().hex}.v1"
    await make_topics(kafka, [Topic(topic, "dispatch", "key", timedelta(days=1), "test", partitions=4)])
    sender = KafkaBus(kafka)

    async def send(text: str) -> None:
        await sender.publish(
            [Record(topic, f"k{n}", text.encode(), {"ce_id": str(new_id())}) for n in range(16)]
        )

    other, before, after = Listener(), Listener(), Listener()
    staying = KafkaBus(kafka, times=TIMES)
    await staying.subscribe("c", [topic], other, member="c-0")
    leaving = KafkaBus(kafka, times=TIMES)
    await leaving.subscribe("c", [topic], before, member="c-1")

    async def both_hear() -> bool:
        heard = other.count + before.count
        await send("warm")
        await until(lambda: other.count + before.count >= heard + 16)
        return bool(other.heard and before.heard)

    await until(both_hear)
    before.heard.clear()
    other.heard.clear()
    await send("settled")
    await until(lambda: other.count + before.count == 16)
    share = set(before.heard)
    await leaving.stop()
    back = KafkaBus(kafka, times=TIMES)
    await back.subscribe("c", [topic], after, member="c-1")
    await send("again")
    await until(lambda: after.count + other.count >= 32 - len(share))
    assert set(after.heard) == share
    for bus in (sender, staying, back):
        await bus.stop()
