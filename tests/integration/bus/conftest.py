"""tests of the bus: each runs on the in-process bus and on Apache Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from bus_road import TIMES, Road
from mailmaker.common.bus.kafka import KafkaBus
from mailmaker.common.bus.kafka_topics import make_topics
from mailmaker.common.bus.memory import MemoryBus
from mailmaker.common.contracts.topic import Topic
from mailmaker.common.storage.ids import new_id


@pytest.fixture(params=["memory", "kafka"])
async def road(request: pytest.FixtureRequest) -> AsyncIterator[Road]:
    topic = Topic(f"t{new_id().hex}.v1", "dispatch", "key", timedelta(days=1), "test", partitions=4)
    if request.param == "memory":
        made = Road("memory", topic, lambda: MemoryBus(publish_timeout=2.0, close_grace=0.2))
    else:
        servers = request.getfixturevalue("kafka")
        await make_topics(servers, [topic])
        made = Road("kafka", topic, lambda: KafkaBus(servers, times=TIMES))
    yield made
    for bus in made.buses:
        await bus.stop()
