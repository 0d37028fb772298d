"""common.bus.kafka_member: a member of a group: polls, hands to lanes, commits what is settled, watches itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord
from mailmaker.common.bus.backoff import Backoff
from mailmaker.common.bus.kafka_window import Window
from mailmaker.common.bus.lanes import Lanes
from mailmaker.common.bus.protocol import Handle
from mailmaker.common.bus.record import Received, Record
from mailmaker.common.ops.logging import logger

WINDOW = 1000
"""Records of a partition that may be under way; at that many it is paused until half of them are settled."""


@dataclass(frozen=True, slots=True)
class MemberTimes:
    """Seconds. `session` is how long a silent member keeps its partitions; `stale` how long the own polling may be
    silent, or records may lie unread, before the connection is thrown away (aiokafka issue 1037)."""

    session: float = 10.0
    poll: float = 0.5
    commit: float = 0.2
    drain: float = 5.0
    stale: float = 30.0
    request: float = 10.0


class Stale(Exception):
    """Polling has silently stopped."""


class KafkaMember(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """A place in a group, kept through broker failures by joining again with back-off."""

    def __init__(
        self,
        servers: str,
        consumer: str,
        topics: Sequence[str],
        handle: Handle,
        member: str | None,
        times: MemberTimes,
        gone: Callable[[KafkaMember], None],
    ) -> None:
        self._servers, self._group, self._topics, self._name = servers, consumer, tuple(topics), member
        self._handle, self._times, self._gone = handle, times, gone
        self._term = 0
        self._windows: dict[TopicPartition, Window] = {}
        self._paused: set[TopicPartition] = set()
        self._lanes = Lanes(handle)
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._polled = 0.0
        self._log = logger("common.bus").bind(consumer=consumer)

    def begin(self) -> None:
        self._task = asyncio.create_task(self._live(), name=f"kafka member of {self._group}")

    async def ended(self) -> None:
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def close(self) -> None:
        self._closing.set()
        await self.ended()
        self._gone(self)

    async def _live(self) -> None:
        backoff = Backoff(0.2, 5.0)
        while not self._closing.is_set():
            began = asyncio.get_running_loop().time()
            try:
                await self._session()
            except (KafkaError, Stale, OSError, TimeoutError) as wrong:
                self._log.warning("member lost its place, joins again", error=type(wrong).__name__)
            except Exception as wrong:
                self._log.error("member fell, joins again", error=type(wrong).__name__, exc_info=wrong)
            if asyncio.get_running_loop().time() - began > self._times.stale:
                backoff.reset()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), backoff.next())

    async def _session(self) -> None:
        """From joining the group until the end, or until something breaks."""
        millis = int(self._times.session * 1000)
        self._consumer = consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            group_id=self._group,
            group_instance_id=self._name,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=millis,
            heartbeat_interval_ms=max(millis // 5, 200),
            max_poll_interval_ms=300000,
            rebalance_timeout_ms=30000,
            request_timeout_ms=int(self._times.request * 1000),
            fetch_max_bytes=16 * 1024 * 1024,
            metadata_max_age_ms=30000,
        )
        consumer.subscribe(self._topics, listener=self)
        tasks: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(self._times.request):
                await consumer.start()
            self._polled = asyncio.get_running_loop().time()
            tasks = [
                asyncio.create_task(part(consumer)) for part in (self._poll, self._commit_often, self._watch)
            ]
            tasks.append(asyncio.create_task(self._until_closing()))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await self._leave(consumer, tasks)

    async def _until_closing(self) -> None:
        await self._closing.wait()

    async def _leave(self, consumer: AIOKafkaConsumer, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._let_go(consumer)
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(self._times.request):
                await consumer.stop()
        self._consumer = None

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            batches = await consumer.getmany(timeout_ms=int(self._times.poll * 1000), max_records=500)
            self._polled = asyncio.get_running_loop().time()
            # No await from here to the end of the loop: what was polled belongs to the present assignment.
            for partition, records in batches.items():
                window = self._windows.setdefault(partition, Window())
                for record in records:
                    self._take(partition, window, record)
                if len(window) >= WINDOW and partition not in self._paused:
                    self._paused.add(partition)
                    consumer.pause(partition)

    def _take(self, partition: TopicPartition, window: Window, raw: ConsumerRecord) -> None:
        window.take(raw.offset)

        def settled() -> None:
            window.settle(raw.offset)
            if (
                partition in self._paused
                and len(window) <= WINDOW // 2
                and self._windows.get(partition) is window
            ):
                self._paused.discard(partition)
                if self._consumer is not None:
                    self._consumer.resume(partition)

        if raw.value is None:
            settled()  # a compacted topic's tombstone says nothing
            return
        headers = {name: value.decode(errors="replace") for name, value in raw.headers}
        record = Record(raw.topic, (raw.key or b"").decode(errors="replace"), raw.value, headers)
        self._lanes.put(Received(record, raw.partition, raw.offset, self._term), settled)

    async def _commit_often(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await asyncio.sleep(self._times.commit)
            with suppress(TimeoutError):
                await self._commit(consumer)

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        """Tells Kafka the positions below which all is in the database. A failure costs only repeated deliveries."""
        windows = dict(self._windows)
        due = {partition: window.due for partition, window in windows.items() if window.due is not None}
        if not due:
            return
        try:
            async with asyncio.timeout(self._times.request):
                await consumer.commit(due)
        except (CommitFailedError, IllegalStateError) as wrong:
            self._log.info("positions not committed, another member goes on", error=type(wrong).__name__)
        except KafkaError as wrong:
            self._log.warning("positions not committed", error=type(wrong).__name__)
        else:
            for partition, position in due.items():
                windows[partition].committed(position)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if self._consumer is not None:
            await self._let_go(self._consumer)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._log.info("partitions assigned", partitions=len(assigned))

    async def _let_go(self, consumer: AIOKafkaConsumer) -> None:
        """The partitions may go to another member: end what is being handled, commit what is settled, forget the rest.

        The group waits for this, so the next holder begins where we ended."""
        lanes, self._lanes = self._lanes, Lanes(self._handle)
        await lanes.close(self._times.drain)
        with suppress(TimeoutError):
            await self._commit(consumer)
        self._windows, self._paused = {}, set()
        self._term += 1

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """Ends the session when polling hangs, or when records lie in a partition and nothing of it is ever read."""
        unread: dict[TopicPartition, tuple[int, float]] = {}
        while True:
            await asyncio.sleep(self._times.stale / 3)
            now = asyncio.get_running_loop().time()
            if now - self._polled > self._times.stale:
                raise Stale("no poll has returned")
            held = [p for p in consumer.assignment() if p not in consumer.paused()]
            if not held:
                continue
            async with asyncio.timeout(self._times.request):
                ends = await consumer.end_offsets(held)
                at = {p: await consumer.position(p) for p in held}
            still = {p: unread[p] for p in held if p in unread and unread[p][0] == at[p]}
            unread = {p: still.get(p, (at[p], now)) for p in held if at[p] < ends[p]}
            if any(now - since > self._times.stale for _, since in unread.values()):
                raise Stale("records lie unread")
