"""contacts.storage.engagement: when a contact was last reached, and by which mailings; what segments ask about.

One row a contact says when mail was last delivered, opened and clicked; one row a contact, mailing and kind says of which
mailing. Both are bounded by `forget_old`, and whoever is erased leaves neither behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from mailmaker.common.storage.engine import Transaction

Kind = Literal["delivered", "opened", "clicked"]

# Only contacts that exist: an event may arrive after an erasure. In the order of ids, as every writer locks.
_SEEN = """
SELECT s.contact_id, max(s.at) AS at FROM unnest($2::uuid[], $3::timestamptz[]) AS s (contact_id, at)
  JOIN contacts c ON c.account_id = $1 AND c.id = s.contact_id GROUP BY s.contact_id ORDER BY s.contact_id
"""
# A later instant wins whatever comes first, so events may be heard twice and in any order.
_LAST = """
INSERT INTO engagement AS e (account_id, contact_id, {kind}_at) SELECT $1, s.contact_id, s.at FROM ({seen}) s
    ON CONFLICT (account_id, contact_id) DO UPDATE SET {kind}_at = excluded.{kind}_at
 WHERE e.{kind}_at IS NULL OR e.{kind}_at < excluded.{kind}_at
"""
LAST: dict[Kind, str] = {
    "delivered": _LAST.format(kind="delivered", seen=_SEEN),
    "opened": _LAST.format(kind="opened", seen=_SEEN),
    "clicked": _LAST.format(kind="clicked", seen=_SEEN),
}
MAILINGS = """
INSERT INTO engagement_mailings (account_id, mailing_id, kind, contact_id)
SELECT DISTINCT $1::uuid, s.mailing_id, $2::text, s.contact_id
  FROM unnest($3::uuid[], $4::uuid[]) AS s (mailing_id, contact_id)
  JOIN contacts c ON c.account_id = $1 AND c.id = s.contact_id
    ON CONFLICT DO NOTHING
"""
ACCOUNTS = "SELECT account_id FROM accounts ORDER BY account_id"
# Mailings' ids ascend with time (UUIDv7): the old ones are the first of an account's key, and need no index of their own.
FORGET_MAILINGS = """
DELETE FROM engagement_mailings WHERE account_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM engagement_mailings WHERE account_id = $1 AND mailing_id < $2 ORDER BY mailing_id LIMIT $3))
"""
FORGET_LAST = """
DELETE FROM engagement WHERE account_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM engagement WHERE account_id = $1 AND greatest(delivered_at, opened_at, clicked_at) < $2 LIMIT $3))
"""
FORGET_CONTACTS = (
    "DELETE FROM engagement WHERE account_id = $1 AND contact_id = ANY($2::uuid[])",
    "DELETE FROM engagement_mailings WHERE account_id = $1 AND contact_id = ANY($2::uuid[])",
)


@dataclass(frozen=True, slots=True)
class Reached:
    """One contact reached by one mailing."""

    contact_id: UUID
    mailing_id: UUID
    at: datetime


async def record(tx: Transaction, account_id: UUID, kind: Kind, reached: Sequence[Reached]) -> None:
    """Remembers who was reached. Contacts that are no more are passed over."""
    if reached:
        ids = [one.contact_id for one in reached]
        await tx.driver.execute(LAST[kind], account_id, ids, [one.at for one in reached])
        await tx.driver.execute(MAILINGS, account_id, kind, [one.mailing_id for one in reached], ids)


async def forget(tx: Transaction, account_id: UUID, ids: Sequence[UUID]) -> None:
    """Forgets erased contacts."""
    for statement in FORGET_CONTACTS:
        await tx.driver.execute(statement, account_id, list(ids))


async def accounts(tx: Transaction) -> list[UUID]:
    return [row["account_id"] for row in await tx.driver.fetch(ACCOUNTS)]


async def forget_old(tx: Transaction, account_id: UUID, before: datetime, many: int) -> int:
    """Forgets up to `many` mailings' rows made before an instant, and as many contacts not reached since. Returns how
    many went."""
    first = UUID(int=int(before.timestamp() * 1000) << 80)
    gone = [
        await tx.driver.execute(FORGET_MAILINGS, account_id, first, many),
        await tx.driver.execute(FORGET_LAST, account_id, before, many),
    ]
    return sum(int(str(one).rpartition(" ")[2]) for one in gone)
