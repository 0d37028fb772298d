"""suppression.storage.completing: entries that wait for contacts to name list and address keys.

One that was whole waits `again` for each contact that said it again while contacts was away: it stays whole, and its
person's present keys join it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.suppressions import Door, Reason, Scope
from mailmaker.common.mail.address import Channel
from mailmaker.common.storage.transaction import Transaction

_WAITING = "SELECT suppression_id FROM incomplete WHERE account_id = $1 AND suppression_id = ANY($2::uuid[]) AND NOT again"
_ASK = """
INSERT INTO incomplete (account_id, suppression_id, contact_id, tries, due_at, again)
SELECT $1, s, c, 0, clock_timestamp(), true FROM unnest($2::uuid[], $3::uuid[]) AS n(s, c) ON CONFLICT DO NOTHING
"""
_DUE = """
SELECT account_id, suppression_id, contact_id FROM incomplete WHERE due_at <= clock_timestamp()
 ORDER BY due_at LIMIT $1
"""
_LATER = """
UPDATE incomplete
   SET tries = tries + 1,
       due_at = clock_timestamp() + least(30, 0.5 * 2 ^ least(tries, 8)) * (0.8 + 0.4 * random()) * interval '1 second'
 WHERE account_id = $1 AND suppression_id = $2 AND contact_id = $3
"""
_TAKE = """
DELETE FROM incomplete i USING ledger l
 WHERE i.account_id = $1 AND i.suppression_id = $2 AND i.contact_id = $3
   AND l.account_id = i.account_id AND l.id = i.suppression_id
RETURNING l.id, l.channel, l.scope, l.door, l.reason, l.received_at, i.again,
          EXISTS (SELECT FROM releases r WHERE r.account_id = l.account_id AND r.suppression_id = l.id) AS released
"""


@dataclass(frozen=True, slots=True)
class Due:
    """An entry to ask contacts about."""

    account_id: UUID
    suppression_id: UUID
    contact_id: UUID


@dataclass(frozen=True, slots=True)
class Taken:
    """An entry about to be completed."""

    id: UUID
    channel: Channel
    scope: Scope
    door: Door
    reason: Reason
    received_at: datetime
    again: bool
    released: bool


async def waiting(tx: Transaction, entries: Sequence[UUID]) -> set[UUID]:
    """Which of these entries are not whole yet."""
    rows = await tx.driver.fetch(_WAITING, tx.account_id, list(entries))
    return {row["suppression_id"] for row in rows}


async def due(tx: Transaction, limit: int) -> list[Due]:
    """The longest waiting first."""
    rows = await tx.driver.fetch(_DUE, limit)
    return [Due(row["account_id"], row["suppression_id"], row["contact_id"]) for row in rows]


async def ask_again(tx: Transaction, said: Sequence[tuple[UUID, UUID]]) -> None:
    """Contacts is to name what these contacts are now. `said`: an entry, and the contact that said it again."""
    entries, contacts = zip(*said, strict=True)
    await tx.driver.execute(_ASK, tx.account_id, list(entries), list(contacts))


async def try_later(tx: Transaction, due: Due) -> None:
    """Contacts did not answer: again after 0.5 s, doubling to 30 s, with jitter."""
    await tx.driver.execute(_LATER, tx.account_id, due.suppression_id, due.contact_id)


async def take(tx: Transaction, due: Due) -> Taken | None:
    """The entry leaves the waiting room with this commit. None: another process was faster."""
    row = await tx.driver.fetchrow(_TAKE, tx.account_id, due.suppression_id, due.contact_id)
    if row is None:
        return None
    return Taken(
        row["id"],
        row["channel"],
        row["scope"],
        row["door"],
        row["reason"],
        row["received_at"],
        row["again"],
        row["released"],
    )
