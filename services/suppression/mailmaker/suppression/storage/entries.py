"""suppression.storage.entries: the ledger as it is shown: each entry with what was enforced, released and said again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.common.contracts.internal import InFlight
from mailmaker.common.storage.transaction import Transaction
from mailmaker.suppression.domain.entry import Entry, Said

# An entry is enforced when dispatch has answered for each of its lines, but for those whose keys joined later; one
# that contacts has yet to complete is not, however early its first line was applied.
_ENTRY = """
SELECT l.id, l.channel, l.scope, coalesce(l.list_id, f.list_id) AS list_id, l.door, l.reason, l.contact_id,
       l.received_at, l.recorded_at, f.positions, r.released_at, r.reason AS release_reason, r.evidence AS release_evidence,
       e.stopped, e.in_flight,
       CASE WHEN f.open OR i.suppression_id IS NOT NULL THEN NULL ELSE e.enforced_at END AS enforced_at
  FROM ledger l
  LEFT JOIN releases r ON r.account_id = l.account_id AND r.suppression_id = l.id
  LEFT JOIN incomplete i ON i.account_id = l.account_id AND i.suppression_id = l.id AND NOT i.again
  LEFT JOIN LATERAL (
      SELECT array_agg(n.position ORDER BY n.position) AS positions,
             (array_agg(n.list_id) FILTER (WHERE n.list_id IS NOT NULL))[1] AS list_id,
             bool_or(d.number IS NULL) FILTER (WHERE NOT n.later AND NOT n.released) AS open
        FROM feed n LEFT JOIN enforcements d ON d.account_id = n.account_id AND d.number = n.number
       WHERE n.account_id = l.account_id AND n.suppression_id = l.id) f ON true
  LEFT JOIN LATERAL (
      SELECT max(d.enforced_at) FILTER (WHERE NOT n.later) AS enforced_at,
             jsonb_path_query_array(jsonb_agg(d.stopped), '$[*][*]') AS stopped,
             jsonb_path_query_array(jsonb_agg(d.in_flight), '$[*][*]') AS in_flight
        FROM enforcements d JOIN feed n ON n.account_id = d.account_id AND n.number = d.number
       WHERE d.account_id = l.account_id AND d.suppression_id = l.id) e ON true
"""
_BY_IDS = _ENTRY + " WHERE l.account_id = $1 AND l.id = ANY($2::uuid[])"
_NEWEST = (
    _ENTRY
    + """
 WHERE l.account_id = $1
   AND ($2::bytea[] IS NULL
        OR l.id IN (SELECT suppression_id FROM subjects WHERE account_id = $1 AND subject = ANY($2::bytea[])))
   AND ($3::timestamptz IS NULL OR (l.recorded_at, l.id) < ($3, $4))
   AND ($6::uuid[] IS NULL OR l.list_id = ANY($6::uuid[]) OR f.list_id = ANY($6::uuid[]))
 ORDER BY l.recorded_at DESC, l.id DESC LIMIT $5
"""
)
_REPEATS = """
SELECT id, door, reason, received_at, recorded_at FROM repeats WHERE account_id = $1 AND suppression_id = $2
 ORDER BY recorded_at, id LIMIT 100
"""
_EVIDENCE = "SELECT payload FROM evidence WHERE account_id = $1 AND id = $2"


async def by_ids(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, Entry]:
    """These entries of the account."""
    rows = await tx.driver.fetch(_BY_IDS, tx.account_id, list(ids))
    return {row["id"]: _entry(row) for row in rows}


async def newest(
    tx: Transaction,
    subjects: Sequence[bytes] | None,
    lists: Sequence[UUID] | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Entry]:
    """The account's entries, newest first; only those that speak of one of `subjects`, or of these lists, if given."""
    at, id = before or (None, None)
    rows = await tx.driver.fetch(
        _NEWEST,
        tx.account_id,
        None if subjects is None else list(subjects),
        at,
        id,
        limit,
        None if lists is None else list(lists),
    )
    return [_entry(row) for row in rows]


async def repetitions(tx: Transaction, entry: UUID) -> list[Said]:
    """How often it was said again, the first hundred."""
    rows = await tx.driver.fetch(_REPEATS, tx.account_id, entry)
    return [Said(r["id"], r["door"], r["reason"], r["received_at"], r["recorded_at"]) for r in rows]


async def evidence(tx: Transaction, entry: UUID) -> dict[str, str]:
    """What the door wrote down of who said it; empty once erased."""
    payload = await tx.driver.fetchval(_EVIDENCE, tx.account_id, entry)
    return {} if payload is None else dict(payload)


def _entry(row: Any) -> Entry:
    return Entry(
        id=row["id"],
        channel=row["channel"],
        scope=row["scope"],
        list_id=row["list_id"],
        contact_id=row["contact_id"],
        door=row["door"],
        reason=row["reason"],
        received_at=row["received_at"],
        recorded_at=row["recorded_at"],
        enforced_at=row["enforced_at"],
        stopped=_messages(row["stopped"]),
        in_flight=_messages(row["in_flight"]),
        released_at=row["released_at"],
        release_reason=row["release_reason"],
        release_evidence=row["release_evidence"],
        positions=tuple(row["positions"] or ()),
    )


def _messages(found: list[dict[str, str]] | None) -> tuple[InFlight, ...]:
    return tuple(InFlight.model_validate(one) for one in found or ())


async def forget_evidence(tx: Transaction, subjects: Sequence[bytes]) -> None:
    """Takes away the personal part of every entry and repetition that speaks of these keys. That they were said, when
    and at which door, stays."""
    await tx.driver.execute(_FORGET_EVIDENCE, tx.account_id, list(subjects))


_FORGET_EVIDENCE = """
DELETE FROM evidence e USING (
    SELECT suppression_id AS id FROM subjects WHERE account_id = $1 AND subject = ANY($2::bytea[])
    UNION SELECT r.id FROM subjects s JOIN repeats r ON r.account_id = $1 AND r.suppression_id = s.suppression_id
           WHERE s.account_id = $1 AND s.subject = ANY($2::bytea[])
) said WHERE e.account_id = $1 AND e.id = said.id
"""
