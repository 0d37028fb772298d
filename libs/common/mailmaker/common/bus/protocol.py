"""common.bus.protocol: what every bus promises; one conformance suite holds each implementation to it.

At least once, in order per key:

- `publish` returns when every record is acknowledged. What it refuses stays with the caller, who sends it again.
- A member's `handle` gets the records of one key one after another; records of other keys go on beside it. When it
  returns, the record is settled and is not delivered again after the next commit of positions. When it raises, the same
  record comes again after a pause, and nothing behind it in its key before.
- A consumer is known by its name; its members share its topics, each key with one member at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from mailmaker.common.bus.record import Received, Record

Handle = Callable[[Received], Awaitable[None]]


class BusUnavailable(Exception):
    """The bus has not acknowledged what it was given: send it again, in the same order.

    `acknowledged` are the positions (in the given sequence) that need not be sent again. It is empty wherever the
    rest could overtake them.
    """

    def __init__(self, why: str, acknowledged: frozenset[int] = frozenset()) -> None:
        super().__init__(why)
        self.acknowledged = acknowledged


class Subscription(Protocol):
    """One member's place in a consumer."""

    async def ended(self) -> None:
        """Returns when the subscription has been closed."""
        ...

    async def close(self) -> None:
        """Lets what is being handled end, commits the positions of what is settled, and leaves."""
        ...


class Bus(Protocol):
    """The road. Made by main; connects when it is first needed, and again whenever it must."""

    async def start(self) -> None:
        """All consumers of this process are declared: records may flow."""
        ...

    async def stop(self) -> None:
        """Closes every subscription and connection. Idempotent."""
        ...

    def expect(self, consumer: str, topics: Sequence[str]) -> None:
        """Declares a consumer before `start`, so that nothing is acknowledged before it was heard there. A bus whose
        records outlive the process needs no such promise."""
        ...

    async def publish(self, records: Sequence[Record]) -> None:
        """Returns when all are acknowledged. Raises BusUnavailable within a bounded time otherwise."""
        ...

    async def subscribe(
        self, consumer: str, topics: Sequence[str], handle: Handle, *, member: str | None = None
    ) -> Subscription:
        """Joins a consumer. `member` is a name that a restarted process keeps (a pod's ordinal): its share of the
        topics is not dealt anew while it restarts."""
        ...
