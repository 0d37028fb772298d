"""suppression.storage.feed: the numbered feed: commit order is number order, and no number is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.common.contracts.internal import FeedItem
from mailmaker.common.contracts.suppressions import Door, Reason, Scope
from mailmaker.common.mail.address import Channel
from mailmaker.common.storage.transaction import Transaction
from mailmaker.suppression.domain.entry import OwnLine

WAKE_CHANNEL = "suppression_feed"


@dataclass(frozen=True, slots=True)
class Line:
    """A line to be numbered. `later`: keys that joined an entry after it was whole; its `enforced` does not wait."""

    suppression_id: UUID
    channel: Channel
    scope: Scope
    list_id: UUID | None
    subjects: tuple[bytes, ...]
    contact_id: UUID | None
    reason: Reason
    door: Door
    received_at: datetime
    recorded_at: datetime
    released: bool = False
    later: bool = False


# The platform's number is taken here and the row stays locked until the commit: whoever comes next numbers and commits
# after us, and a rollback gives the numbers back. Readers see no number before all lower ones.
# The account's head is locked first, since the platform's is updated from it: the order of locks is the same everywhere.
_NUMBER = """
WITH own AS (
    INSERT INTO account_heads AS h (account_id, last) VALUES ($1, $2)
    ON CONFLICT (account_id) DO UPDATE SET last = h.last + excluded.last RETURNING last
), head AS (
    UPDATE feed_head SET last = feed_head.last + $2 FROM own RETURNING feed_head.last, own.last AS position
), batch AS (
    SELECT * FROM jsonb_to_recordset($3::jsonb) AS n(
        n bigint, suppression_id uuid, channel text, scope text, list_id uuid, subjects text[], contact_id uuid,
        reason text, door text, received_at timestamptz, recorded_at timestamptz, released boolean, later boolean)
), waiting AS (
    INSERT INTO awaiting (account_id, number, recorded_at)
    SELECT $1, head.last - $2 + n, recorded_at FROM batch, head WHERE NOT released
), woken AS (
    SELECT pg_notify($4, '') FROM head
)
INSERT INTO feed (account_id, position, number, suppression_id, channel, scope, list_id, subjects, contact_id, reason,
                  door, released, later, received_at, recorded_at)
SELECT $1, head.position - $2 + n, head.last - $2 + n, suppression_id, channel, scope, list_id,
       ARRAY(SELECT decode(s, 'hex') FROM unnest(batch.subjects) AS s), contact_id, reason, door, released, later,
       received_at, recorded_at
  FROM batch, head, woken ORDER BY n
RETURNING number
"""
_AFTER = """
SELECT number, suppression_id, account_id, channel, scope, list_id, subjects, reason, door, released, received_at,
       recorded_at
  FROM feed WHERE number > $1 ORDER BY number LIMIT $2
"""
_OF_ACCOUNT = """
SELECT position, suppression_id, channel, scope, list_id, subjects, contact_id, reason, door, released, received_at,
       recorded_at
  FROM feed WHERE account_id = $1 AND position > $2 ORDER BY position LIMIT $3
"""
_POSITION = "SELECT coalesce((SELECT last FROM account_heads WHERE account_id = $1), 0)"
_HEAD = """
SELECT last, extract(epoch FROM clock_timestamp() - (SELECT min(touched_at) FROM journals))::float8 AS age FROM feed_head
"""


async def number(tx: Transaction, lines: Sequence[Line]) -> list[int]:
    """Numbers the lines in their order: the last statement of a transaction but for its outbox."""
    if not lines:
        return []
    count = len(lines)
    rows = json.dumps([_row(n, line) for n, line in enumerate(lines, 1)])
    numbered = await tx.driver.fetch(_NUMBER, tx.account_id, count, rows, WAKE_CHANNEL)
    return sorted(row["number"] for row in numbered)


async def after(tx: Transaction, last: int, limit: int) -> list[FeedItem]:
    """The platform's feed, in order."""
    return [_item(row) for row in await tx.driver.fetch(_AFTER, last, limit)]


async def head(tx: Transaction) -> tuple[int, float | None]:
    """The newest number, and the age in seconds of the oldest vouching; None when no process vouches at all."""
    row = await tx.driver.fetchrow(_HEAD)
    return row["last"], row["age"]


async def of_account(tx: Transaction, last: int, limit: int) -> tuple[list[OwnLine], int]:
    """The account's own feed, in its own numbers, and its newest number."""
    newest = await tx.driver.fetchval(_POSITION, tx.account_id)
    return [_own(row) for row in await tx.driver.fetch(_OF_ACCOUNT, tx.account_id, last, limit)], newest


def _own(row: Any) -> OwnLine:
    return OwnLine(
        number=row["position"],
        suppression_id=row["suppression_id"],
        channel=row["channel"],
        scope=row["scope"],
        list_id=row["list_id"],
        contact_id=row["contact_id"],
        subjects=tuple(bytes(s).hex() for s in row["subjects"]),
        reason=row["reason"],
        door=row["door"],
        released=row["released"],
        received_at=row["received_at"],
        recorded_at=row["recorded_at"],
    )


def _item(row: Any) -> FeedItem:
    return FeedItem(
        number=row["number"],
        suppression_id=row["suppression_id"],
        account_id=row["account_id"],
        channel=row["channel"],
        scope=row["scope"],
        list_id=row["list_id"],
        subjects=tuple(bytes(s).hex() for s in row["subjects"]),
        reason=row["reason"],
        door=row["door"],
        released=row["released"],
        received_at=row["received_at"],
        recorded_at=row["recorded_at"],
    )


def _row(n: int, line: Line) -> dict[str, object]:
    return {
        "n": n,
        "suppression_id": str(line.suppression_id),
        "channel": line.channel,
        "scope": line.scope,
        "list_id": line.list_id and str(line.list_id),
        "subjects": [s.hex() for s in line.subjects],
        "contact_id": line.contact_id and str(line.contact_id),
        "reason": line.reason,
        "door": line.door,
        "received_at": line.received_at.isoformat(),
        "recorded_at": line.recorded_at.isoformat(),
        "released": line.released,
        "later": line.later,
    }
