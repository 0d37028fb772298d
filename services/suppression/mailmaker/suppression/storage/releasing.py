"""suppression.storage.releasing: takes an entry's places out of the state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction
from mailmaker.suppression.domain.no import Place
from mailmaker.suppression.storage.ledger import OF_ENTRY, place_of

_SUBJECTS = "SELECT subject FROM subjects WHERE account_id = $1 AND suppression_id = $2"
_STILL = """
SELECT subject, channel, scope, list_id, kind FROM standing
 WHERE account_id = $1 AND subject = ANY($3::bytea[]) AND suppression_id <> $2
"""
_LIFT = "DELETE FROM standing WHERE account_id = $1 AND suppression_id = $2"
_WRITE = """
INSERT INTO releases (account_id, suppression_id, reason, key_id, released_at)
VALUES ($1, $2, $3, $4, clock_timestamp()) ON CONFLICT DO NOTHING RETURNING released_at
"""


async def subjects_of(tx: Transaction, entry: UUID) -> list[bytes]:
    """The keys the entry speaks of, joined ones too."""
    rows = await tx.driver.fetch(_SUBJECTS, tx.account_id, entry)
    return [bytes(row["subject"]) for row in rows]


async def held(tx: Transaction, entry: UUID) -> list[Place]:
    """Where the entry stands."""
    return [place_of(row) for row in await tx.driver.fetch(OF_ENTRY, tx.account_id, entry)]


async def held_by_others(tx: Transaction, entry: UUID, subjects: Sequence[bytes]) -> list[Place]:
    """Where other entries stand about the same keys."""
    return [place_of(row) for row in await tx.driver.fetch(_STILL, tx.account_id, entry, list(subjects))]


async def release(tx: Transaction, entry: UUID, reason: str, key_id: UUID) -> datetime | None:
    """Writes the release and clears the state. None: it was released before."""
    at: datetime | None = await tx.driver.fetchval(_WRITE, tx.account_id, entry, reason, key_id)
    if at is not None:
        await tx.driver.execute(_LIFT, tx.account_id, entry)
    return at
