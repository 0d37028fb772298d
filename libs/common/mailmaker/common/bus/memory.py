"""common.bus.memory: the in-process bus: no broker; a record is acknowledged when every consumer has settled it.

What it has not acknowledged is still in the sender's outbox, so a process that dies loses nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailmaker.common.bus.lanes import Lanes
from mailmaker.common.bus.protocol import BusUnavailable, Handle
from mailmaker.common.bus.record import Received, Record

PUBLISH_TIMEOUT = 3.0
CLOSE_GRACE = 5.0


class MemoryBus:
    """One object for all houses of a process."""

    def __init__(self, *, publish_timeout: float = PUBLISH_TIMEOUT, close_grace: float = CLOSE_GRACE) -> None:
        self._timeout, self._grace = publish_timeout, close_grace
        self._consumers: dict[str, _Consumer] = {}
        self._running = False

    async def start(self) -> None:
        self._running = True

    async def stop(self) -> None:
        self._running = False
        for consumer in self._consumers.values():
            for member in tuple(consumer.members):
                await member.close()

    def expect(self, consumer: str, topics: Sequence[str]) -> None:
        known = self._consumers.setdefault(consumer, _Consumer(self._grace))
        known.topics |= set(topics)

    async def publish(self, records: Sequence[Record]) -> None:
        if not self._running:
            raise BusUnavailable("the in-process bus is not started")
        told = {
            n: [
                consumer.tell(record)
                for consumer in self._consumers.values()
                if record.topic in consumer.topics
            ]
            for n, record in enumerate(records)
        }
        answers = {answer for several in told.values() for answer in several}
        if not answers:
            return
        await asyncio.wait(answers, timeout=self._timeout)
        settled = frozenset(
            n for n, several in told.items() if all(_is_settled(answer) for answer in several)
        )
        if len(settled) < len(records):
            # Within a key a consumer settles in order, so what is settled here cannot be overtaken by the rest.
            raise BusUnavailable(f"{len(records) - len(settled)} records are not handled yet", settled)

    async def subscribe(
        self, consumer: str, topics: Sequence[str], handle: Handle, *, member: str | None = None
    ) -> _Member:
        self.expect(consumer, topics)
        return self._consumers[consumer].join(handle)


def _is_settled(answer: asyncio.Future[None]) -> bool:
    return answer.done() and not answer.cancelled()


@dataclass(eq=False)
class _Member:
    consumer: _Consumer
    handle: Handle
    busy: set[asyncio.Task[None]] = field(default_factory=set)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def ended(self) -> None:
        await self.left.wait()

    async def close(self) -> None:
        await self.consumer.leave(self)


class _Consumer:
    """One consumer: its members, and the records on their way to them."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self.topics: set[str] = set()
        self.members: list[_Member] = []
        self._term = 0
        self._offsets = itertools.count()
        self._lanes = Lanes(self._deliver)
        self._open: dict[tuple[str, str], asyncio.Future[None]] = {}

    def tell(self, record: Record) -> asyncio.Future[None]:
        """Resolved when the record is settled. One that is still on its way joins its first telling: a sender whose
        patience ended sends again, and must not lengthen the queue that it waits for."""
        name = (record.topic, record.id)
        if record.id and name in self._open:
            return self._open[name]
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self.members:
            answer.cancel()  # nobody listens at the moment: not acknowledged, so it comes again
            return answer
        if record.id:
            self._open[name] = answer

        def settled() -> None:
            self._open.pop(name, None)
            if not answer.done():
                answer.set_result(None)

        self._lanes.put(Received(record, 0, next(self._offsets), self._term), settled)
        return answer

    def join(self, handle: Handle) -> _Member:
        member = _Member(self, handle)
        self._term += 1
        self.members.append(member)
        return member

    async def leave(self, member: _Member) -> None:
        if member not in self.members:
            return
        self._term += 1
        self.members.remove(member)
        if member.busy:
            _, late = await asyncio.wait(tuple(member.busy), timeout=self._grace)
            for task in late:
                task.cancel()
        if not self.members:
            await self._forget()
        member.left.set()

    async def _forget(self) -> None:
        """The last member has gone: what it had not settled is not acknowledged; its senders still hold it."""
        lanes, self._lanes = self._lanes, Lanes(self._deliver)
        waiting, self._open = self._open, {}
        for answer in waiting.values():
            answer.cancel()
        await lanes.close(grace=0)

    async def _deliver(self, received: Received) -> None:
        """To the member whose key it is now. A lane has one record under way, so its key is never with two members."""
        if not self.members:
            raise BusUnavailable("no member listens")
        mine = zlib.crc32(received.record.key.encode()) % len(self.members)
        member = self.members[mine]
        now = Received(received.record, received.partition, received.offset, self._term)
        task = asyncio.ensure_future(member.handle(now))
        member.busy.add(task)
        task.add_done_callback(member.busy.discard)
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.cancelled():
            raise BusUnavailable("its member left")
        task.result()
