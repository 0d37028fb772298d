"""tests of the bus: a house that tells and hears one kind of event, and leaves a line for each application of one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Protocol

from mailmaker.common.bus.consumer import Consumer
from mailmaker.common.bus.record import Record
from mailmaker.common.contracts.event import Event
from mailmaker.common.contracts.topic import Topic
from mailmaker.common.storage.engine import Database, Heard
from mailmaker.common.storage.ids import new_id


class Told(Event):
    """A fact of a test. Subclasses put it on a topic."""

    type: Literal["test.told"] = "test.told"
    about: str
    text: str

    def key(self) -> str:
        return self.about


class Worker(Protocol):
    async def run(self, stop: asyncio.Event) -> None: ...


@asynccontextmanager
async def working(*workers: Worker) -> AsyncIterator[None]:
    """Runs workers as a house does; what falls fails the test."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(worker.run(stop)) for worker in workers]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 30)


class BusHouse:
    """dispatch's tables, with events of a topic made for the test."""

    def __init__(self, db: Database, topic: Topic) -> None:
        self.db, self.account = db, new_id()
        self.told: type[Told] = type(
            "ToldHere", (Told,), {"__annotations__": {"topic": ClassVar}, "topic": topic}
        )

    def event(self, about: str, text: str) -> Told:
        return self.told(account_id=self.account, occurred_at=datetime.now(UTC), about=about, text=text)

    async def tell(self, *facts: tuple[str, str]) -> None:
        """Stages events as an action does."""
        async with self.db.account(self.account) as tx:
            tx.stage(*(self.event(about, text) for about, text in facts))

    async def apply(self, event: Told, heard: Heard) -> None:
        """The handler: a line for each application, committed with the inbox row."""
        async with self.db.heard(heard, event.account_id) as tx:
            await tx.driver.execute(
                "INSERT INTO audit VALUES ($1, $2, clock_timestamp(), $2, 'test', $3, $4)",
                event.account_id,
                new_id(),
                event.about,
                event.text,
            )

    def consumer(self, bus: Any, handler: Any = None, **options: Any) -> Consumer:
        options.setdefault("first_pause", 0.005)
        return Consumer(self.db, bus, "dispatch.test", {self.told: handler or self.apply}, **options)

    async def applied(self) -> dict[str, list[str]]:
        """What was applied, by key, in order."""
        lines: dict[str, list[str]] = {}
        for row in await self.rows("SELECT verb, subject FROM audit ORDER BY at, id"):
            lines.setdefault(row["verb"], []).append(row["subject"])
        return lines

    async def rows(self, query: str, *args: object) -> Sequence[Any]:
        async with self.db.platform() as tx:
            found: Sequence[Any] = await tx.driver.fetch(query, *args)
        return found

    async def waiting(self) -> int:
        """Rows in the outbox."""
        return len(await self.rows("SELECT id FROM outbox"))


class Notebook:
    """A bus that writes down what it is given, and does with it what the test says."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    async def publish(self, records: Sequence[Record]) -> None:
        for record in records:
            event = Told.model_validate_json(record.value)
            self.seen.append((event.about, event.text))

    def expect(self, consumer: str, topics: Sequence[str]) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def subscribe(self, *_: object, **__: object) -> Any:
        raise NotImplementedError
