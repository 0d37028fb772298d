"""common.bus.record: what travels: bytes with a topic, a key and headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

MAX_BYTES = 4 * 1024 * 1024
"""The largest record a topic takes (`max.message.bytes`): a chunk of 500 items fits many times over."""


@dataclass(frozen=True, slots=True)
class Record:
    """One event as bytes. Headers are CloudEvents 1.0 attributes (Kafka binding, binary mode) and `traceparent`."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The event's id as its header says it; empty for a record that nobody of ours wrote."""
        return self.headers.get("ce_id", "")

    @property
    def type(self) -> str:
        return self.headers.get("ce_type", "")

    @property
    def account_id(self) -> UUID:
        """Whose event it is, also when its bytes cannot be read. The nil id where even that is unknown."""
        try:
            return UUID(self.headers.get("ce_accountid", ""))
        except ValueError:
            return UUID(int=0)


@dataclass(frozen=True, slots=True)
class Received:
    """A record as it reached one member of a consumer.

    `term` changes whenever the member's share of the topics may have been in other hands: what the member remembers
    about keys from another term may be stale.
    """

    record: Record
    partition: int
    offset: int
    term: int
