"""suppression.storage.releasing: takes an entry's places out of the state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.suppressions import Door, Reason
from mailmaker.common.mail.address import Channel
from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.storage.transaction import Transaction
from mailmaker.suppression.domain.no import Place
from mailmaker.suppression.domain.release import Standing
from mailmaker.suppression.storage.ledger import OF_ENTRY, place_of

_SUBJECTS = "SELECT subject FROM subjects WHERE account_id = $1 AND suppression_id = $2"
_STILL = """
SELECT subject, channel, scope, list_id, kind FROM standing
 WHERE account_id = $1 AND subject = ANY($3::bytea[]) AND suppression_id <> $2
"""
_LIFT = "DELETE FROM standing WHERE account_id = $1 AND suppression_id = $2"
# Those in force only: who stands nowhere was released, or waits for contacts to name its list.
_IN_FORCE = """
SELECT l.id, l.channel, l.scope, l.kind, l.door, l.reason, l.contact_id, l.received_at, s.list_ids, s.subjects,
       greatest(l.recorded_at, (SELECT max(r.recorded_at) FROM repeats r
                                 WHERE r.account_id = $1 AND r.suppression_id = l.id)) AS last_said
  FROM ledger l JOIN LATERAL (
       SELECT array_agg(DISTINCT list_id) AS list_ids, array_agg(DISTINCT subject) AS subjects FROM standing
        WHERE account_id = $1 AND suppression_id = l.id HAVING count(*) > 0) s ON true
 WHERE l.account_id = $1 AND l.id = ANY($2::uuid[])
"""
_HELD_BY = """
SELECT suppression_id, subject, channel, scope, list_id, kind FROM standing
 WHERE account_id = $1 AND suppression_id = ANY($2::uuid[])
"""
_BESIDE = """
SELECT DISTINCT ON (o.suppression_id) o.suppression_id AS id, s.suppression_id AS asked
  FROM standing s JOIN standing o ON o.account_id = $1 AND o.subject = s.subject AND o.channel = s.channel
       AND o.scope = s.scope AND o.list_id = s.list_id AND o.kind = s.kind AND o.suppression_id <> ALL($2::uuid[])
 WHERE s.account_id = $1 AND s.suppression_id = ANY($2::uuid[]) ORDER BY o.suppression_id, s.suppression_id
"""
_LIFT_ALL = "DELETE FROM standing WHERE account_id = $1 AND suppression_id = ANY($2::uuid[])"
_STILL_ANY = """
SELECT subject, channel, scope, list_id, kind FROM standing WHERE account_id = $1 AND subject = ANY($2::bytea[])
"""
_WRITE_ALL = """
INSERT INTO releases (account_id, suppression_id, reason, key_id, released_at, evidence)
SELECT $1, i, r, k, clock_timestamp(), e::jsonb
  FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[]) AS n(i, r, k, e)
ON CONFLICT DO NOTHING RETURNING suppression_id, released_at
"""
_WRITE = """
INSERT INTO releases (account_id, suppression_id, reason, key_id, released_at)
VALUES ($1, $2, $3, $4, clock_timestamp()) ON CONFLICT DO NOTHING RETURNING released_at
"""


@dataclass(frozen=True, slots=True)
class InForce:
    """An entry that is in force, with its keys."""

    id: UUID
    channel: Channel
    door: Door
    reason: Reason
    contact_id: UUID | None
    received_at: datetime
    subjects: tuple[bytes, ...]
    facts: Standing


async def in_force(tx: Transaction, entries: Sequence[UUID]) -> dict[UUID, InForce]:
    """Those of the entries that stand somewhere."""
    rows = await tx.driver.fetch(_IN_FORCE, tx.account_id, list(entries))
    return {
        row["id"]: InForce(
            row["id"],
            row["channel"],
            row["door"],
            row["reason"],
            row["contact_id"],
            row["received_at"],
            tuple(bytes(s) for s in row["subjects"]),
            Standing(
                row["kind"],
                row["scope"],
                frozenset(None if i == NOBODY else i for i in row["list_ids"]),
                row["last_said"],
            ),
        )
        for row in rows
    }


async def beside(tx: Transaction, entries: Sequence[UUID]) -> dict[UUID, UUID]:
    """Further entries that say the same of one of their keys: each with the one of these that it stands beside."""
    rows = await tx.driver.fetch(_BESIDE, tx.account_id, list(entries))
    return {row["id"]: row["asked"] for row in rows}


async def release_all(
    tx: Transaction, entries: Sequence[tuple[UUID, str, UUID, Mapping[str, str]]]
) -> dict[UUID, datetime]:
    """Writes releases, as (entry, reason, who, evidence). Returns when each was; those released before are missing."""
    columns = [(i, reason, by, json.dumps(dict(evidence))) for i, reason, by, evidence in entries]
    rows = await tx.driver.fetch(_WRITE_ALL, tx.account_id, *map(list, zip(*columns, strict=True)))
    return {row["suppression_id"]: row["released_at"] for row in rows}


async def lift_all(tx: Transaction, entries: Sequence[UUID]) -> tuple[dict[UUID, list[Place]], list[Place]]:
    """Clears the state of entries. Returns where each stood, and where others still stand about the same keys."""
    held: dict[UUID, list[Place]] = {}
    for row in await tx.driver.fetch(_HELD_BY, tx.account_id, list(entries)):
        held.setdefault(row["suppression_id"], []).append(place_of(row))
    await tx.driver.execute(_LIFT_ALL, tx.account_id, list(entries))
    subjects = list({place.subject for places in held.values() for place in places})
    still = await tx.driver.fetch(_STILL_ANY, tx.account_id, subjects)
    return held, [place_of(row) for row in still]


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
