"""common.bus.kafka_topics: makes the declared topics on a broker that has no operator to do it (`up`, tests)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code
from mailmaker.common.bus.protocol import BusUnavailable
from mailmaker.common.contracts.strimzi import topic_config
from mailmaker.common.contracts.topic import TOPICS, Topic

_EXISTS = 36
TIMEOUT = 30.0


async def make_topics(
    servers: str, topics: Sequence[Topic] = TOPICS, *, timeout: float = TIMEOUT
) -> list[str]:
    """Creates what is missing and returns its names; topics that exist are left as they are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=int(timeout * 1000))
    try:
        async with asyncio.timeout(timeout):
            await admin.start()
            answer = await admin.create_topics(
                [
                    NewTopic(
                        topic.name,
                        topic.partitions,
                        1,
                        topic_configs=topic_config(topic, min_insync_replicas=1),
                    )
                    for topic in topics
                ]
            )
    except (KafkaError, OSError, TimeoutError) as wrong:
        raise BusUnavailable(f"topics not made: {type(wrong).__name__}") from wrong
    finally:
        await admin.close()
    made = []
    for name, code, *_ in answer.topic_errors:
        if code == 0:
            made.append(name)
        elif code != _EXISTS:
            raise BusUnavailable(f"topic {name} not made: {for_code(code).__name__}")
    return made
