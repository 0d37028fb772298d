"""common.bus.dead_letters: the rows of events that could not be applied, and the keys that wait behind them.

`behind` is the first parked row of the key: that row names itself, later ones of the key name it. A discarded event
names nobody: nothing waits for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID, uuid5

import asyncpg
from mailmaker.common.bus.lanes import Lane
from mailmaker.common.bus.record import Received, Record
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import NOBODY

_INSERT = """
INSERT INTO dead_letters (account_id, id, consumer, topic, key, headers, value, reason, attempts, parked_at, behind)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9,
        greatest(clock_timestamp(), (SELECT max(parked_at) + interval '1 microsecond' FROM dead_letters
                                      WHERE consumer = $3 AND topic = $4 AND key = $5)), $10)
ON CONFLICT (account_id, id) DO NOTHING
"""
_KEYS = "SELECT DISTINCT topic, key FROM dead_letters WHERE consumer = $1 AND behind IS NOT NULL"
# The last row, because a replay takes them from the front: while it is there, the key is parked.
_LAST = """
SELECT behind FROM dead_letters WHERE consumer = $1 AND topic = $2 AND key = $3 AND behind IS NOT NULL
 ORDER BY parked_at DESC LIMIT 1 FOR KEY SHARE
"""
_FIRST = """
SELECT account_id, id, headers, value, attempts FROM dead_letters
 WHERE consumer = $1 AND topic = $2 AND key = $3 AND behind IS NOT NULL ORDER BY parked_at LIMIT 1
"""
_REMOVE = "DELETE FROM dead_letters WHERE account_id = $1 AND id = $2"
_FAILED = "UPDATE dead_letters SET attempts = attempts + 1, reason = $3 WHERE account_id = $1 AND id = $2"
_DISCARD = "UPDATE dead_letters SET behind = NULL, reason = $3 WHERE account_id = $1 AND id = $2"


@dataclass(frozen=True, slots=True)
class Letter:
    """A parked event."""

    account_id: UUID
    id: UUID
    record: Record
    attempts: int


class DeadLetters:
    """One consumer's dead letters, in its house's schema."""

    def __init__(self, db: Database, consumer: str) -> None:
        self._db, self._consumer = db, consumer

    async def discard(self, received: Received, reason: str, attempts: int) -> None:
        """Keeps an event that will never be applied."""
        await self._insert(received, reason, attempts, blocks=False)

    async def park(self, received: Received, reason: str, attempts: int) -> None:
        """Keeps an event to be replayed: from now on its key waits."""
        await self._insert(received, reason, attempts, blocks=True)

    async def park_behind(self, received: Received) -> bool:
        """Keeps an event because an earlier one of its key is parked. False: none is any more, so it may be applied."""
        record = received.record
        async with self._db.platform() as tx:
            head = await tx.driver.fetchval(_LAST, self._consumer, record.topic, record.key)
            if head is None:
                return False
            await tx.driver.execute(
                _INSERT, *self._row(received, "behind a parked event of its key", 0), head
            )
        return True

    async def keys(self) -> set[Lane]:
        """The keys that wait."""
        async with self._db.platform() as tx:
            return {(row["topic"], row["key"]) for row in await tx.driver.fetch(_KEYS, self._consumer)}

    async def first(self, lane: Lane) -> Letter | None:
        """The event to be replayed next in a key."""
        topic, key = lane
        async with self._db.platform() as tx:
            row = await tx.driver.fetchrow(_FIRST, self._consumer, topic, key)
        return None if row is None else _letter(topic, key, row)

    async def remove(self, letter: Letter) -> None:
        """It has been applied."""
        async with self._db.platform() as tx:
            await tx.driver.execute(_REMOVE, letter.account_id, letter.id)

    async def failed(self, letter: Letter, reason: str) -> None:
        """A replay failed again; its key goes on waiting."""
        async with self._db.platform() as tx:
            await tx.driver.execute(_FAILED, letter.account_id, letter.id, reason)

    async def give_up(self, letter: Letter, reason: str) -> None:
        """Its handler discarded it in a replay: kept, but its key goes on."""
        async with self._db.platform() as tx:
            await tx.driver.execute(_DISCARD, letter.account_id, letter.id, reason)

    async def _insert(self, received: Received, reason: str, attempts: int, *, blocks: bool) -> None:
        row = self._row(received, reason, attempts)
        async with self._db.platform() as tx:
            await tx.driver.execute(_INSERT, *row, row[1] if blocks else None)

    def _row(
        self, received: Received, reason: str, attempts: int
    ) -> tuple[UUID, UUID, str, str, str, str, bytes, str, int]:
        record = received.record
        # Not a new id: an event that comes again after a crash between this commit and the bus's is the same letter.
        name = record.id or f"{record.topic}/{received.partition}/{received.offset}"
        return (
            record.account_id,
            uuid5(NOBODY, f"{self._consumer} {name}"),
            self._consumer,
            record.topic,
            record.key,
            json.dumps(dict(record.headers)),
            record.value,
            reason,
            attempts,
        )


def _letter(topic: str, key: str, row: asyncpg.Record) -> Letter:
    record = Record(topic, key, bytes(row["value"]), row["headers"])
    return Letter(row["account_id"], row["id"], record, row["attempts"])
