"""Reads a topic as an outsider would: which events are there, from where on."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

Positions = dict[int, int]


async def event_types(
    bootstrap: str, topic: str, since: Positions | None = None
) -> tuple[list[str], Positions]:
    """The types of the events on a topic behind some positions, and the positions of its ends."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        parts = [
            TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        ends = await consumer.end_offsets(parts)
        found: list[str] = []
        for part in parts:
            position = (since or {}).get(part.partition, 0)
            consumer.seek(part, position)
            while position < ends[part]:
                for record in (await consumer.getmany(part, timeout_ms=500)).get(part, []):
                    found += [value.decode() for name, value in record.headers if name == "ce_type"]
                position = await consumer.position(part)
        return found, {part.partition: end for part, end in ends.items()}
    finally:
        await consumer.stop()
