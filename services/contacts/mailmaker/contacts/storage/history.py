"""contacts.storage.history: what was done to a contact: by API and by a "no" here, by imports in their plans."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.domain.contact import Contact
from mailmaker.contacts.storage.plan_sql import after_of

INSERT = """
INSERT INTO contact_history (account_id, contact_id, id, list_id, at, what, by, before, after, door)
SELECT $1, c, i, $2, $3, w, $4, b::jsonb, a::jsonb, $10
  FROM unnest($5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[]) AS h(c, i, w, b, a)
"""
# `tie` decides between lines of one instant, so that a page ends at exactly one place.
OF_CONTACT = f"""
SELECT * FROM (
    SELECT at, id::text AS tie, what, by, door, before::text AS before, after::text AS after FROM contact_history
     WHERE account_id = $1 AND list_id = $2 AND contact_id = $3
    UNION ALL
    SELECT p.applied_at, r.import_id || r.action, r.action, 'import:' || r.import_id, 'file',
           coalesce(r.before, '{{}}')::text, coalesce({after_of("r")}, '{{}}')::text
      FROM plan_rows r JOIN plans p ON p.account_id = r.account_id AND p.import_id = r.import_id
     WHERE r.account_id = $1 AND p.list_id = $2 AND r.contact_id = $3 AND r.applied AND p.applied_at IS NOT NULL
) h WHERE (at, tie) > ($4::timestamptz, $5::text) ORDER BY at, tie LIMIT $6
"""
# As it was when it left, by hand, by a merge, by a file, or when the file that created it was undone: what a link in an old
# mail may still be about. One look-up an account, in a platform transaction.
DEPARTED = f"""
SELECT a.account_id, gone.list_id, gone.email, gone.mobile, gone.fkey FROM accounts a CROSS JOIN LATERAL (
       SELECT h.list_id, h.at, h.before ->> 'email' AS email, h.before ->> 'mobile' AS mobile, h.before ->> 'fkey' AS fkey
         FROM contact_history h WHERE h.account_id = a.account_id AND h.contact_id = $1
          AND h.what IN ('removed', 'merged_away')
       UNION ALL
       SELECT p.list_id, CASE WHEN r.before IS NULL THEN p.undone_at ELSE p.applied_at END,
              s.said ->> 'email', s.said ->> 'mobile', s.said ->> 'fkey'
         FROM plan_rows r JOIN plans p ON p.account_id = r.account_id AND p.import_id = r.import_id
              CROSS JOIN LATERAL (SELECT {after_of("r")}) w(after)
              CROSS JOIN LATERAL (SELECT coalesce(r.before, w.after)) s(said)
        WHERE r.account_id = a.account_id AND r.contact_id = $1 AND r.applied AND s.said IS NOT NULL
          AND (w.after IS NULL OR (r.before IS NULL AND r.undone = 'restored'))
        ORDER BY at DESC LIMIT 1) gone LIMIT 1
"""
FORGET = (
    "DELETE FROM contact_history WHERE account_id = $1 AND contact_id = ANY($2::uuid[])",
    "UPDATE plan_rows SET before = NULL, after = NULL, made = NULL WHERE account_id = $1 AND contact_id = ANY($2::uuid[])",
)
# Every address and key that these records ever had, as their own past tells it.
HELD = f"""
SELECT DISTINCT a.name, a.value FROM (
    SELECT before, after FROM contact_history WHERE account_id = $1 AND contact_id = ANY($2::uuid[])
    UNION ALL SELECT r.before, {after_of("r")} FROM plan_rows r WHERE r.account_id = $1 AND r.contact_id = ANY($2::uuid[])
) h CROSS JOIN LATERAL (VALUES ('email', before ->> 'email'), ('email', after ->> 'email'),
    ('mobile', before ->> 'mobile'), ('mobile', after ->> 'mobile'), ('fkey', before ->> 'fkey'),
    ('fkey', after ->> 'fkey')) a(name, value) WHERE a.value IS NOT NULL
"""
_NAMES = """
    lower(before ->> 'email') = ANY($3::text[]) OR lower(after ->> 'email') = ANY($3::text[])
 OR before ->> 'mobile' = ANY($4::text[]) OR after ->> 'mobile' = ANY($4::text[])
 OR before ->> 'fkey' = ANY($5::text[]) OR after ->> 'fkey' = ANY($5::text[])
"""
# Records of the list's past that carry one of these and are no contact any more: the same person, earlier, or in a plan
# that was never applied.
RECORDS = f"""
SELECT contact_id FROM (
    SELECT contact_id FROM contact_history WHERE account_id = $1 AND list_id = $2 AND ({_NAMES})
    UNION
    SELECT r.contact_id FROM plan_rows r JOIN plans p ON p.account_id = r.account_id AND p.import_id = r.import_id
     WHERE r.account_id = $1 AND p.list_id = $2 AND ({_NAMES} OR lower((r.made).email) = ANY($3::text[])
        OR (r.made).mobile = ANY($4::text[]) OR (r.made).fkey = ANY($5::text[]))
) h WHERE contact_id <> ALL($6::uuid[]) AND NOT EXISTS (
    SELECT FROM contacts c WHERE c.account_id = $1 AND c.id = h.contact_id)
"""
START = (datetime.fromisoformat("0001-01-01T00:00:00+00:00"), "")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing done to one contact: the fields that changed, before and after."""

    contact_id: UUID
    what: str
    before: Mapping[str, object]
    after: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a contact's history. `by` names a key, an import or a suppression; `door` where it came in."""

    at: datetime
    tie: str
    what: str
    by: str
    door: str | None
    before: Mapping[str, object]
    after: Mapping[str, object]


async def write(
    tx: Transaction,
    account_id: UUID,
    list_id: UUID,
    at: datetime,
    by: str,
    lines: Sequence[Line],
    *,
    door: str,
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
            door,
        )


async def of_contact(
    tx: Transaction,
    account_id: UUID,
    list_id: UUID,
    contact_id: UUID,
    after: tuple[datetime, str],
    limit: int,
) -> list[Entry]:
    """A page of a contact's history, oldest first."""
    return [
        Entry(
            row["at"],
            row["tie"],
            row["what"],
            row["by"],
            row["door"],
            json.loads(row["before"]),
            json.loads(row["after"]),
        )
        for row in await tx.driver.fetch(OF_CONTACT, account_id, list_id, contact_id, *after, limit)
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


async def records_of(
    tx: Transaction, account_id: UUID, list_id: UUID, known: Sequence[Contact]
) -> list[UUID]:
    """Earlier and planned records of one person in a list, beside the known ones, found by every address and key that
    these ever had. Reads the list's whole past."""
    held: dict[str, set[str]] = {"email": set(), "mobile": set(), "fkey": set()}
    for contact in known:
        for name, value in zip(held, contact.addresses, strict=True):
            if value is not None:
                held[name].add(str(value))
    ids = [contact.id for contact in known]
    for row in await tx.driver.fetch(HELD, account_id, ids):
        held[row["name"]].add(row["value"])
    emails = sorted({one.lower() for one in held["email"]})
    rows = await tx.driver.fetch(
        RECORDS, account_id, list_id, emails, sorted(held["mobile"]), sorted(held["fkey"]), ids
    )
    return [row["contact_id"] for row in rows]


async def forget(tx: Transaction, account_id: UUID, ids: Sequence[UUID]) -> None:
    """Takes the personal part of the past away; that something happened in an import stays countable."""
    for statement in FORGET:
        await tx.driver.execute(statement, account_id, list(ids))
