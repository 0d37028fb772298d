"""ingest.storage.erasures: lists of which somebody was erased, and the imports whose files that ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction

_NOTE = """
INSERT INTO erasures (account_id, list_id, at) VALUES ($1, $2, $3)
ON CONFLICT (account_id, list_id) DO UPDATE SET at = greatest(erasures.at, excluded.at)
"""
_OVER = "state NOT IN ('received', 'parsing', 'staged', 'planned', 'quarantined')"
_ENDED = f"SELECT id FROM imports WHERE account_id = $1 AND list_id = $2 AND created_at <= $3 AND {_OVER}"
_ENDED_OF = f"""
SELECT i.id FROM imports i JOIN erasures e ON e.account_id = i.account_id AND e.list_id = i.list_id
 WHERE i.id = ANY($1::uuid[]) AND i.created_at <= e.at AND {_OVER}
"""


async def note(tx: Transaction, account_id: UUID, list_id: UUID, at: datetime) -> list[UUID]:
    """Remembers an erasure. Returns the list's imports of before that are over."""
    await tx.driver.execute(_NOTE, account_id, list_id, at)
    return [row["id"] for row in await tx.driver.fetch(_ENDED, account_id, list_id, at)]


async def ended(tx: Transaction, ids: Sequence[UUID]) -> list[UUID]:
    """Those of these imports that are over and older than an erasure in their list. In a platform transaction."""
    return [row["id"] for row in await tx.driver.fetch(_ENDED_OF, list(ids))]
