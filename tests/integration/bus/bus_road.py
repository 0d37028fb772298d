"""tests of the bus: a road to walk on, whichever bus it is, and ears at its end."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mailmaker.common.bus.kafka_member import MemberTimes
from mailmaker.common.bus.protocol import Bus
from mailmaker.common.bus.record import Received, Record
from mailmaker.common.contracts.topic import Topic
from mailmaker.common.storage.ids import new_id

TIMES = MemberTimes(session=2.0, poll=0.1, commit=0.05, drain=2.0, request=10.0)


async def until(true: Callable[[], bool | Awaitable[bool]], within: float = 30.0) -> None:
    """Waits for a condition, not for a time."""
    async with asyncio.timeout(within):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


@dataclass
class Road:
    """A kind of bus with a fresh topic. `restart` is what a crash of the process leaves: a new bus object."""

    kind: str
    declared: Topic
    make: Callable[[], Bus]
    buses: list[Bus] = field(default_factory=list)

    @property
    def topic(self) -> str:
        return self.declared.name

    async def open(self) -> Bus:
        bus = self.make()
        self.buses.append(bus)
        return bus

    def record(self, key: str, text: str) -> Record:
        return Record(self.topic, key, text.encode(), {"ce_id": str(new_id()), "ce_type": "test"})


@dataclass
class Listener:
    """Remembers what reached it, by key."""

    heard: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    async def __call__(self, received: Received) -> None:
        self.heard[received.record.key].append(received.record.value.decode())

    @property
    def count(self) -> int:
        return sum(map(len, self.heard.values()))
