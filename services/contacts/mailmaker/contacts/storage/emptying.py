"""contacts.storage.emptying: takes away what is kept of an account that was closed; never what says "no"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.engine import Transaction

# In this order: an export under way finds itself gone before its contacts are; what refers goes before what it names.
TABLES = (
    "exports",
    "export_chunks",
    "plans",
    "plan_rows",
    "engagement_mailings",
    "engagement",
    "contact_history",
    "contacts",
    "segment_rules",
    "segments",
    "idempotency",
)
SOME = {
    table: f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE account_id = $1 LIMIT $2))"
    for table in TABLES
}
OVER = "SELECT account_id FROM accounts WHERE state = 'closed' AND closed_at <= $1 AND emptied_at IS NULL ORDER BY closed_at"
BLANK_LISTS = """
UPDATE lists SET name = '-', controller_name = '-', controller_email = '-', closed_at = coalesce(closed_at, now())
 WHERE account_id = $1
"""
DONE = "UPDATE accounts SET emptied_at = $2 WHERE account_id = $1 AND state = 'closed' AND emptied_at IS NULL"


async def over(tx: Transaction, before: datetime) -> Sequence[UUID]:
    """Accounts that were closed before an instant and still hold data."""
    return [row["account_id"] for row in await tx.driver.fetch(OVER, before)]


async def some(tx: Transaction, account_id: UUID, table: str, limit: int) -> int:
    """Takes some rows of an account out of a table. Returns how many."""
    told = await tx.driver.execute(SOME[table], account_id, limit)
    return int(str(told).rpartition(" ")[2])


async def blank_lists(tx: Transaction, account_id: UUID) -> None:
    """A list's row stays, because "no"s name it; who was responsible for it does not."""
    await tx.driver.execute(BLANK_LISTS, account_id)


async def done(tx: Transaction, account_id: UUID, at: datetime) -> bool:
    """False: somebody else has ended it."""
    told = await tx.driver.execute(DONE, account_id, at)
    return bool(told.endswith(" 1"))
