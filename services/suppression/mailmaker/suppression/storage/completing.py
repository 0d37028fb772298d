"""suppression.storage.completing: entries that wait for contacts to name list and address keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.suppressions import Door, Reason, Scope
from mailmaker.common.mail.address import Channel
from mailmaker.common.storage.transaction import Transaction

_WAITING = "SELECT suppression_id FROM incomplete WHERE account_id = $1 AND suppression_id = ANY($2::uuid[])"
_DUE = """
SELECT account_id, suppression_id, contact_id FROM incomplete WHERE due_at <= clock_timestamp()
 ORDER BY due_at LIMIT $1
"""
_LATER = """
UPDATE incomplete
   SET tries = tries + 1,
       due_at = clock_timestamp() + least(30, 0.5 * 2 ^ least(tries, 8)) * (0.8 + 0.4 * random()) * interval '1 second'
 WHERE account_id = $1 AND suppression_id = $2
"""
_TAKE = """
DELETE FROM incomplete i USING ledger l
 WHERE i.account_id = $1 AND i.suppression_id = $2 AND l.account_id = i.account_id AND l.id = i.suppression_id
RETURNING l.id, l.channel, l.scope, l.named, l.contact_id, l.door, l.reason, l.kind, l.received_at,
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
    contact_id: UUID
    door: Door
    reason: Reason
    received_at: datetime
    released: bool


async def waiting(tx: Transaction, entries: Sequence[UUID]) -> set[UUID]:
    """Which of these entries are not whole yet."""
    rows = await tx.driver.fetch(_WAITING, tx.account_id, list(entries))
    return {row["suppression_id"] for row in rows}


async def due(tx: Transaction, limit: int) -> list[Due]:
    """The longest waiting first."""
    rows = await tx.driver.fetch(_DUE, limit)
    return [Due(row["account_id"], row["suppression_id"], row["contact_id"]) for row in rows]


async def try_later(tx: Transaction, entry: UUID) -> None:
    """Contacts did not answer: again after 0.5 s, doubling to 30 s, with jitter."""
    await tx.driver.execute(_LATER, tx.account_id, entry)


async def take(tx: Transaction, entry: UUID) -> Taken | None:
    """The entry leaves the waiting room with this commit. None: another process was faster."""
    row = await tx.driver.fetchrow(_TAKE, tx.account_id, entry)
    if row is None:
        return None
    return Taken(
        row["id"],
        row["channel"],
        row["scope"],
        row["contact_id"],
        row["door"],
        row["reason"],
        row["received_at"],
        row["released"],
    )
