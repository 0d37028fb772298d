"""common.bus.consumer: a house's ear: decodes an event, calls its handler, decides what becomes of it.

A handler gets `(event, heard)` and calls one action, which opens `db.heard(heard, event.account_id)`: inbox row, effect
and new events commit together, and only then does the bus move on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mailmaker.common.bus.backoff import Backoff
from mailmaker.common.bus.dead_letters import DeadLetters
from mailmaker.common.bus.fate import Discard, Retry
from mailmaker.common.bus.figures import Figures, uncounted
from mailmaker.common.bus.lanes import Lane
from mailmaker.common.bus.protocol import Bus
from mailmaker.common.bus.record import Received, Record
from mailmaker.common.contracts.event import Event
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import AlreadyHeard, Database, Heard
from mailmaker.common.web.problem import Problem, Unavailable
from pydantic import ValidationError

Handler = Callable[[Any, Heard], Awaitable[None]]
"""Any: each handler takes the event class it stands beside in the table; a mapping cannot say so."""
Hears = Mapping[type[Event], Handler]

FAILURES = 5
PATIENCE = 900.0
HANDLER_TIMEOUT = 300.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to: events applied, and keys that still wait."""

    applied: int
    waiting: int


class Consumer:
    """A worker. `name` is the consumer's for ever: its place on the bus and its inbox rows carry it.

    Five failures park an event. A `Retry`, or something we stand on being away, is not counted: it may last `patience`
    seconds. At most `beside` handlers run at once."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        name: str,
        hears: Hears,
        figures: Figures | None = None,
        *,
        member: str | None = None,
        beside: int = 8,
        patience: float = PATIENCE,
        first_pause: float = 0.2,
    ) -> None:
        self.name = name
        self._bus, self._member = bus, member
        self._handlers = {_type_of(event): (event, handler) for event, handler in hears.items()}
        self._topics = tuple(sorted({event.topic.name for event in hears}))
        self._letters = DeadLetters(db, name)
        self._figures = figures or uncounted()
        self._slots = asyncio.Semaphore(beside)
        self._patience, self._first_pause = patience, first_pause
        self._parked: set[Lane] = set()
        self._term: int | None = None
        self._learning = asyncio.Lock()
        bus.expect(name, self._topics)

    async def run(self, stop: asyncio.Event) -> None:
        """Listens until `stop`, or until the bus is stopped."""
        place = await self._bus.subscribe(self.name, self._topics, self.hear, member=self._member)
        ends = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(place.ended())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await place.close()

    async def hear(self, received: Received) -> None:
        """Returns when the event is applied or kept as a dead letter; raises when neither could be committed."""
        record = received.record
        if record.type not in self._handlers:
            self._count(record, "unknown")
            return
        await self._learn_parked(received.term)
        lane = (record.topic, record.key)
        if lane in self._parked:
            if await self._letters.park_behind(received):
                self._figures.dead_letters.labels(consumer=self.name, topic=record.topic).inc()
                self._count(record, "behind")
                return
            self._parked.discard(lane)
        cls, handler = self._handlers[record.type]
        try:
            event = cls.model_validate_json(record.value)
        except ValidationError as wrong:
            await self._park(received, _faults(wrong), 1)
        else:
            await self._apply(received, event, handler)

    async def replay(self, keys: set[Lane] | None = None) -> Replayed:
        """Applies parked events, each key from its front; a key whose event fails again goes on waiting."""
        applied = 0
        for lane in sorted(await self._letters.keys() if keys is None else keys):
            while (letter := await self._letters.first(lane)) is not None:
                reason = await self._try(letter.record)
                if reason is None:
                    await self._letters.remove(letter)
                    applied += 1
                elif isinstance(reason, Discard):
                    await self._letters.give_up(letter, reason.reason)
                else:
                    await self._letters.failed(letter, _reason(reason))
                    break
        return Replayed(applied, len(await self._letters.keys()))

    async def _try(self, record: Record) -> Exception | None:
        """One application; what went wrong, if anything did."""
        if record.type not in self._handlers:
            return Discard("no handler any more")
        cls, handler = self._handlers[record.type]
        try:
            event = cls.model_validate_json(record.value)
            async with self._slots, asyncio.timeout(HANDLER_TIMEOUT):
                await handler(event, Heard(self.name, event.event_id))
        except AlreadyHeard:
            return None
        except Exception as wrong:
            return wrong
        return None

    async def _apply(self, received: Received, event: Event, handler: Handler) -> None:
        heard = Heard(self.name, event.event_id)
        until = asyncio.get_running_loop().time() + self._patience
        backoff = Backoff(self._first_pause, 5.0)
        failures = 0
        while True:
            try:
                async with self._slots, asyncio.timeout(HANDLER_TIMEOUT):
                    await handler(event, heard)
                self._count(received.record, "applied")
                return
            except AlreadyHeard:
                self._count(received.record, "repeated")
                return
            except Discard as fate:
                await self._letters.discard(received, fate.reason, failures + 1)
                self._figures.dead_letters.labels(consumer=self.name, topic=received.record.topic).inc()
                self._count(received.record, "discarded")
                return
            except Retry as fate:
                wrong: Exception = fate
                pause = fate.after
            except Unavailable as away:
                wrong, pause = away, backoff.next()
            except Exception as failure:
                wrong, pause, failures = failure, backoff.next(), failures + 1
                logger("common.bus").warning(
                    "handler failed",
                    consumer=self.name,
                    type=received.record.type,
                    event_id=received.record.id,
                    failures=failures,
                    error=type(failure).__name__,
                )
            if failures >= FAILURES or asyncio.get_running_loop().time() + pause > until:
                await self._park(received, _reason(wrong), max(failures, 1))
                return
            await asyncio.sleep(pause)

    async def _park(self, received: Received, reason: str, attempts: int) -> None:
        record = received.record
        await self._letters.park(received, reason, attempts)
        self._parked.add((record.topic, record.key))
        self._figures.dead_letters.labels(consumer=self.name, topic=record.topic).inc()
        self._count(record, "parked")
        logger("common.bus").error(
            "event parked, its key waits for a replay",
            consumer=self.name,
            type=record.type,
            event_id=record.id,
            reason=reason,
        )

    async def _learn_parked(self, term: int) -> None:
        """Another member may have parked keys that are ours now. Keys that were replayed since are found out one by one."""
        if term == self._term:
            return
        async with self._learning:
            if term != self._term:
                self._parked |= await self._letters.keys()
                self._term = term

    def _count(self, record: Record, result: str) -> None:
        self._figures.heard.labels(consumer=self.name, topic=record.topic, result=result).inc()


def _type_of(event: type[Event]) -> str:
    return str(event.model_fields["type"].default)


def _reason(wrong: Exception) -> str:
    """The kind of error, never its text: that may quote the event."""
    if isinstance(wrong, ValidationError):
        return _faults(wrong)
    code = f" {wrong.code}" if isinstance(wrong, Problem) else ""
    return f"{type(wrong).__name__}{code}"


def _faults(wrong: ValidationError) -> str:
    faults = wrong.errors(include_url=False, include_context=False, include_input=False)
    places = (f"/{'/'.join(map(str, fault['loc']))} {fault['type']}" for fault in faults[:5])
    return f"not readable: {'; '.join(places)}"
