"""embedded.kafka: one broker in a directory, through starts, stops and kills."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from mailmaker.common.embedded.kafka import KafkaServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path / "kafka")
    yield server
    server.stop()


async def produce(address: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait("kept", value)
    finally:
        await producer.stop()


async def read(address: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer("kept", bootstrap_servers=address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_data_and_address_stay_through_a_stop_and_a_kill(server: KafkaServer) -> None:
    address = server.start()
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 1, 1)])
    await admin.close()
    await produce(address, b"one")
    server.stop()
    assert not server.alive

    assert server.start() == address
    await produce(address, b"two")
    server.kill()

    assert server.start() == address
    assert await read(address, 2) == [b"one", b"two"]
