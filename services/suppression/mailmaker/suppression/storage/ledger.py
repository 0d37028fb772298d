"""suppression.storage.ledger: appends a batch of "no"s of one account, and finds what is in force or was heard before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.storage.transaction import Transaction
from mailmaker.suppression.domain.decide import New, Repeat
from mailmaker.suppression.domain.no import No, Place

# Two "no"s about one person are taken one after the other, whatever process hears them. Buckets bound the number of
# locks of a large batch; they are taken in ascending order, before any row is locked, so that no two batches wait
# for each other.
_LOCK = """
SELECT pg_advisory_xact_lock(hashtext($1), b)
  FROM (SELECT DISTINCT hashtext(encode(s, 'hex')) & 255 AS b FROM unnest($2::bytea[]) AS u(s) ORDER BY 1) AS buckets
"""
# The places where the keys stand, the earliest entry of each last; and, after them, which ids were heard before.
_STANDING = """
(SELECT s.subject, s.channel, s.scope, s.list_id, s.kind, s.suppression_id, NULL::uuid AS heard
   FROM standing s JOIN ledger l ON l.account_id = s.account_id AND l.id = s.suppression_id
  WHERE s.account_id = $1 AND s.subject = ANY($2::bytea[])
  ORDER BY l.recorded_at DESC, l.id DESC)
UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, id, id FROM ledger WHERE account_id = $1 AND id = ANY($3::uuid[])
UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, suppression_id, id FROM repeats WHERE account_id = $1 AND id = ANY($3::uuid[])
"""
OF_ENTRY = """
SELECT subject, channel, scope, list_id, kind FROM standing WHERE account_id = $1 AND suppression_id = $2
"""
_APPEND = """
WITH batch AS MATERIALIZED (
    SELECT *, clock_timestamp() AS recorded_at FROM jsonb_to_recordset($2::jsonb) AS n(
        id uuid, channel text, scope text, list_id uuid, kind text, named text, contact_id uuid, door text,
        reason text, received_at timestamptz, subjects text[], incomplete boolean, evidence jsonb)
), kept AS (
    INSERT INTO ledger (account_id, id, channel, scope, list_id, kind, named, contact_id, door, reason,
                        received_at, recorded_at)
    SELECT $1, id, channel, scope, list_id, kind, decode(named, 'hex'), contact_id, door, reason,
           received_at, recorded_at
      FROM batch
), proved AS (
    INSERT INTO evidence (account_id, id, payload) SELECT $1, id, evidence FROM batch WHERE evidence <> '{}'
), asked AS (
    INSERT INTO incomplete (account_id, suppression_id, contact_id, tries, due_at)
    SELECT $1, id, contact_id, 0, recorded_at FROM batch WHERE incomplete
), spoken AS (
    INSERT INTO subjects (account_id, subject, suppression_id)
    SELECT $1, decode(s, 'hex'), id FROM batch, unnest(subjects) AS s
), stood AS (
    INSERT INTO standing (account_id, subject, channel, scope, list_id, kind, suppression_id)
    SELECT $1, decode(s, 'hex'), channel, scope,
           CASE WHEN scope = 'account' THEN $3::uuid ELSE coalesce(list_id, $3) END, kind, id
      FROM batch, unnest(subjects) AS s
)
SELECT id, recorded_at FROM batch
"""
_REPEAT = """
WITH batch AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($2::jsonb) AS n(
        id uuid, first uuid, door text, reason text, received_at timestamptz, evidence jsonb)
), proved AS (
    INSERT INTO evidence (account_id, id, payload) SELECT $1, id, evidence FROM batch WHERE evidence <> '{}'
)
INSERT INTO repeats (account_id, id, suppression_id, door, reason, received_at, recorded_at)
SELECT $1, id, first, door, reason, received_at, clock_timestamp() FROM batch RETURNING id, recorded_at
"""
_JOIN = """
WITH joined AS (
    INSERT INTO subjects (account_id, subject, suppression_id) SELECT $1, s, $2 FROM unnest($3::bytea[]) AS u(s)
    ON CONFLICT DO NOTHING
)
INSERT INTO standing (account_id, subject, channel, scope, list_id, kind, suppression_id)
SELECT $1, s, l.channel, l.scope, CASE WHEN l.scope = 'account' THEN $5::uuid ELSE coalesce($4::uuid, $5) END, l.kind, l.id
  FROM unnest($3::bytea[]) AS u(s), ledger l WHERE l.account_id = $1 AND l.id = $2
ON CONFLICT DO NOTHING
"""


async def lock_subjects(tx: Transaction, subjects: Iterable[bytes]) -> None:
    """Holds back every other "no" and release about these keys until this transaction ends."""
    await tx.driver.execute(_LOCK, str(tx.account_id), sorted(set(subjects)))


async def standing(
    tx: Transaction, subjects: Iterable[bytes], ids: Sequence[UUID]
) -> tuple[dict[Place, UUID], dict[UUID, UUID]]:
    """Identity of each place where one of these keys stands -> its earliest entry; and of these ids, those heard
    before -> the entry they are in."""
    rows = await tx.driver.fetch(_STANDING, tx.account_id, list(set(subjects)), list(ids))
    places = {place_of(row).identity(): row["suppression_id"] for row in rows if row["heard"] is None}
    return places, {row["heard"]: row["suppression_id"] for row in rows if row["heard"] is not None}


async def of_entry(tx: Transaction, entry: UUID) -> frozenset[Place]:
    """The identities of the places where this entry stands."""
    rows = await tx.driver.fetch(OF_ENTRY, tx.account_id, entry)
    return frozenset(place_of(row).identity() for row in rows)


async def append(tx: Transaction, new: Sequence[New]) -> dict[UUID, datetime]:
    """Appends the entries with their evidence and their state. Returns when each was recorded."""
    rows = await tx.driver.fetch(_APPEND, tx.account_id, json.dumps([_row(n.no) for n in new]), NOBODY)
    return {row["id"]: row["recorded_at"] for row in rows}


async def repeat(tx: Transaction, repeats: Sequence[Repeat]) -> dict[UUID, datetime]:
    """Keeps that it was said again. Returns when each was recorded."""
    rows = [
        {
            "id": str(r.no.id),
            "first": str(r.first),
            "door": r.no.door,
            "reason": r.no.reason,
            "received_at": r.no.received_at.isoformat(),
            "evidence": dict(r.no.evidence),
        }
        for r in repeats
    ]
    kept = await tx.driver.fetch(_REPEAT, tx.account_id, json.dumps(rows))
    return {row["id"]: row["recorded_at"] for row in kept}


async def join(tx: Transaction, entry: UUID, subjects: Sequence[bytes], list_id: UUID | None) -> None:
    """Further keys of the same person join an entry."""
    await tx.driver.execute(_JOIN, tx.account_id, entry, list(subjects), list_id, NOBODY)


def place_of(row: Any) -> Place:
    """The place of a row of `standing`."""
    list_id = None if row["list_id"] == NOBODY else row["list_id"]
    return Place(row["channel"], row["scope"], list_id, bytes(row["subject"]), row["kind"])


def _row(no: No) -> dict[str, object]:
    return {
        "id": str(no.id),
        "channel": no.channel,
        "scope": no.scope,
        "list_id": no.list_id and str(no.list_id),
        "kind": no.kind,
        "named": no.named.hex(),
        "contact_id": no.contact_id and str(no.contact_id),
        "door": no.door,
        "reason": no.reason,
        "received_at": no.received_at.isoformat(),
        "subjects": [s.hex() for s in no.subjects],
        "incomplete": no.incomplete,
        "evidence": dict(no.evidence),
    }
