"""integration: a member whose polling silently stops throws its connection away and joins again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from bus_road import TIMES, Listener, until
from mailmaker.common.bus.kafka import KafkaBus
from mailmaker.common.bus.kafka_topics import make_topics
from mailmaker.common.bus.record import Record
from mailmaker.common.contracts.topic import Topic
from mailmaker.common.storage.ids import new_id


async def _hangs(*_: Any, **__: Any) -> dict[Any, Any]:
    await asyncio.Event().wait()
    return {}


async def _hears_nothing(*_: Any, **__: Any) -> dict[Any, Any]:
    await asyncio.sleep(0.02)
    return {}


@pytest.mark.parametrize("deaf", [_hangs, _hears_nothing])
async def test_a_member_that_polls_in_vain_joins_again(
    kafka: str, monkeypatch: pytest.MonkeyPatch, deaf: Any
) -> None:
    topic = Topic(f"t{new_id().hex}.v1", "dispatch", "key", timedelta(days=1), "test", partitions=1)
    await make_topics(kafka, [topic])
    bus, listener = KafkaBus(kafka, times=replace(TIMES, stale=0.6)), Listener()
    await bus.publish([Record(topic.name, "k", b"v", {"ce_id": str(new_id())})])
    joined: list[AIOKafkaConsumer] = []
    polls = AIOKafkaConsumer.getmany

    async def getmany(self: AIOKafkaConsumer, *partitions: Any, **options: Any) -> Any:
        if self not in joined:
            joined.append(self)
        return await (deaf() if self is joined[0] else polls(self, *partitions, **options))

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", getmany)
    await bus.subscribe("c", [topic.name], listener)
    await until(lambda: listener.count == 1)
    assert len(joined) == 2
    await bus.stop()
