"""contacts.storage.history: what was done to a contact: by API and by a "no" here, by imports in their plans."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import new_id

INSERT = """
INSERT INTO contact_history (account_id, contact_id, id, list_id, at, what, by, before, after)
SELECT $1, c, i, $2, $3, w, $4, b::jsonb, a::jsonb
  FROM unnest($5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[]) AS h(c, i, w, b, a)
"""
OF_CONTACT = """
SELECT at, what, by, before::text AS before, after::text AS after FROM contact_history
 WHERE account_id = $1 AND list_id = $2 AND contact_id = $3
UNION ALL
SELECT p.applied_at, r.action, 'import:' || r.import_id, coalesce(r.before, '{}')::text, coalesce(r.after, '{}')::text
  FROM plan_rows r JOIN plans p ON p.account_id = r.account_id AND p.import_id = r.import_id
 WHERE r.account_id = $1 AND p.list_id = $2 AND r.contact_id = $3 AND r.applied
 ORDER BY at LIMIT 1000
"""
# As it was when it left: what a link in an old mail may still be about. One look-up an account, in a platform transaction.
DEPARTED = """
SELECT a.account_id, gone.list_id, gone.email, gone.mobile, gone.fkey FROM accounts a CROSS JOIN LATERAL (
       SELECT h.list_id, h.at, h.before ->> 'email' AS email, h.before ->> 'mobile' AS mobile, h.before ->> 'fkey' AS fkey
         FROM contact_history h WHERE h.account_id = a.account_id AND h.contact_id = $1 AND h.what = 'removed'
       UNION ALL
       SELECT p.list_id, p.applied_at, r.before ->> 'email', r.before ->> 'mobile', r.before ->> 'fkey'
         FROM plan_rows r JOIN plans p ON p.account_id = r.account_id AND p.import_id = r.import_id
        WHERE r.account_id = a.account_id AND r.contact_id = $1 AND r.action = 'removed' AND r.applied
          AND r.before IS NOT NULL
        ORDER BY at DESC LIMIT 1) gone LIMIT 1
"""
FORGET = (
    "DELETE FROM contact_history WHERE account_id = $1 AND contact_id = ANY($2::uuid[])",
    "UPDATE plan_rows SET before = NULL, after = NULL WHERE account_id = $1 AND contact_id = ANY($2::uuid[])",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing done to one contact: the fields that changed, before and after."""

    contact_id: UUID
    what: str
    before: Mapping[str, object]
    after: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a contact's history. `by` names a key, an import or a suppression."""

    at: datetime
    what: str
    by: str
    before: Mapping[str, object]
    after: Mapping[str, object]


async def write(
    tx: Transaction, account_id: UUID, list_id: UUID, at: datetime, by: str, lines: Sequence[Line]
) -> None:
    if lines:
        await tx.driver.execute(
            INSERT,
            account_id,
            list_id,
            at,
            by,
            [x.contact_id for x in lines],
            [new_id() for _ in lines],
            [x.what for x in lines],
            [json.dumps(x.before) for x in lines],
            [json.dumps(x.after) for x in lines],
        )


async def of_contact(tx: Transaction, account_id: UUID, list_id: UUID, contact_id: UUID) -> list[Entry]:
    """A contact's history, oldest first."""
    return [
        Entry(row["at"], row["what"], row["by"], json.loads(row["before"]), json.loads(row["after"]))
        for row in await tx.driver.fetch(OF_CONTACT, account_id, list_id, contact_id)
    ]


@dataclass(frozen=True, slots=True)
class Departed:
    """Whose contact an id was, and where it could be written to."""

    account_id: UUID
    list_id: UUID
    email: str | None
    mobile: str | None
    fkey: str | None


async def departed(tx: Transaction, contact_id: UUID) -> Departed | None:
    """A contact of any account that has left its list, but not an erased one: of that nothing is known."""
    row = await tx.driver.fetchrow(DEPARTED, contact_id)
    return None if row is None else Departed(**dict(row))


async def forget(tx: Transaction, account_id: UUID, ids: Sequence[UUID]) -> None:
    """Takes the personal part of the past away; that something happened in an import stays countable."""
    for statement in FORGET:
        await tx.driver.execute(statement, account_id, list(ids))
