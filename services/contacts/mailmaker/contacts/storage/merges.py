"""contacts.storage.merges: which records of a list have become part of which others, as their histories tell it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.storage.engine import Transaction

# `step` keeps the order in which one became part of the next. A record is merged away once: its id never comes back.
MERGED_INTO = """
WITH RECURSIVE heir(of, id, step) AS (
    SELECT h.contact_id, (h.after ->> 'merged_into')::uuid, 1 FROM contact_history h
     WHERE h.account_id = $1 AND h.contact_id = ANY($2::uuid[]) AND h.what = 'merged_away'
    UNION ALL
    SELECT heir.of, (h.after ->> 'merged_into')::uuid, heir.step + 1 FROM heir JOIN contact_history h
        ON h.account_id = $1 AND h.contact_id = heir.id AND h.what = 'merged_away'
) SELECT of, id FROM heir ORDER BY of, step
"""
PARTS = """
WITH RECURSIVE part(id) AS (
    SELECT $2::uuid
    UNION
    SELECT (h.after ->> 'merged')::uuid FROM part JOIN contact_history h
        ON h.account_id = $1 AND h.contact_id = part.id AND h.what = 'merged'
) SELECT id FROM part WHERE id <> $2
"""


async def merged_into(tx: Transaction, account_id: UUID, ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    """For each of these records that was merged away: the record it became part of, the one that this became part of,
    and so on. The last one is the one that stayed."""
    found: dict[UUID, tuple[UUID, ...]] = {}
    for row in await tx.driver.fetch(MERGED_INTO, account_id, list(ids)):
        found[row["of"]] = (*found.get(row["of"], ()), row["id"])
    return found


async def parts(tx: Transaction, account_id: UUID, contact_id: UUID) -> list[UUID]:
    """Every record that has become part of this one, also by way of others."""
    return [row["id"] for row in await tx.driver.fetch(PARTS, account_id, contact_id)]
