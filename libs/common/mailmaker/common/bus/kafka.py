"""common.bus.kafka: the bus on Apache Kafka: an idempotent producer, and members that commit after the database has.

No Kafka transactions: the effect is in PostgreSQL, and so is what makes it happen once (the inbox).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from mailmaker.common.bus.kafka_member import KafkaMember, MemberTimes
from mailmaker.common.bus.protocol import BusUnavailable, Handle
from mailmaker.common.bus.record import MAX_BYTES, Record

PUBLISH_TIMEOUT = 3.0
STOP_TIMEOUT = 10.0


class KafkaBus:
    """The road of one process. Connects when first used; after a failed publish with a new producer."""

    def __init__(
        self, servers: str, *, publish_timeout: float = PUBLISH_TIMEOUT, times: MemberTimes | None = None
    ) -> None:
        self._servers = servers
        self._timeout = publish_timeout
        self._times = times or MemberTimes()
        self._producer: AIOKafkaProducer | None = None
        self._turn = asyncio.Lock()
        self._members: set[KafkaMember] = set()
        self._dropping: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def start(self) -> None:
        """Nothing to wait for: a house starts, and serves what needs no bus, while Kafka is away."""

    async def stop(self) -> None:
        self._stopped = True
        for member in tuple(self._members):
            await member.close()
        self._drop()
        if self._dropping:
            await asyncio.wait(tuple(self._dropping), timeout=STOP_TIMEOUT)

    def expect(self, consumer: str, topics: Sequence[str]) -> None:
        """Kafka keeps what a consumer has not read yet."""

    async def publish(self, records: Sequence[Record]) -> None:
        # One wave at a time: if waves overlapped, a later record of a key could be acknowledged while an earlier one
        # fails and is sent again behind it.
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout):
                    await self._send(await self._connected(), records)
            except (KafkaError, TimeoutError, OSError) as wrong:
                self._drop()
                raise BusUnavailable(f"Kafka has not acknowledged: {type(wrong).__name__}") from wrong
            except asyncio.CancelledError:
                self._drop()
                raise

    async def subscribe(
        self, consumer: str, topics: Sequence[str], handle: Handle, *, member: str | None = None
    ) -> KafkaMember:
        if self._stopped:
            raise BusUnavailable("the bus is stopped")
        joined = KafkaMember(
            self._servers, consumer, topics, handle, member, self._times, self._members.discard
        )
        self._members.add(joined)
        joined.begin()
        return joined

    async def _send(self, producer: AIOKafkaProducer, records: Sequence[Record]) -> None:
        answers = []
        try:
            for record in records:
                headers = [(name, text.encode()) for name, text in record.headers.items()]
                answers.append(
                    await producer.send(record.topic, record.value, key=record.key.encode(), headers=headers)
                )
            await asyncio.gather(*answers)
        finally:
            for answer in answers:
                answer.add_done_callback(_seen)

    async def _connected(self) -> AIOKafkaProducer:
        if self._stopped:
            raise BusUnavailable("the bus is stopped")
        if self._producer is None:
            fresh = AIOKafkaProducer(
                bootstrap_servers=self._servers,
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                max_batch_size=262144,
                max_request_size=MAX_BYTES,
                request_timeout_ms=5000,
                linger_ms=0,
                metadata_max_age_ms=60000,
            )
            self._producer = fresh
            await fresh.start()
        return self._producer

    def _drop(self) -> None:
        """Lets go of the producer. An idempotent one never gives up a batch by itself: it would deliver it whenever
        Kafka is back, in between what the caller sends again."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        task = asyncio.create_task(_close(producer), name="kafka producer closing")
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)


async def _close(producer: AIOKafkaProducer) -> None:
    """Ends a producer without waiting for what it still holds. aiokafka's own stop() flushes first, for as long as the
    broker is away, so its sender is ended before, from inside (aiokafka 0.14: `_sender`, `_message_accumulator`)."""
    producer._message_accumulator.fail_all(KafkaError("given up"))
    sender = producer._sender.sender_task if producer._sender is not None else None
    if sender is not None:
        sender.cancel()
    await producer.client.close()
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            await producer.stop()
    except (KafkaError, TimeoutError, OSError):
        pass


def _seen(answer: asyncio.Future[object]) -> None:
    """Of a failed wave one error is raised; the others are looked at so that nothing reports them as forgotten."""
    if not answer.cancelled():
        answer.exception()
