"""dispatch.storage: messages as their owner sees them: counts, lists, one decision."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.decisions import Message

_COUNTS = "SELECT state, count(*) AS n FROM messages WHERE account_id = $1 AND mailing_id = $2 GROUP BY state"
_COLUMNS = (
    "id, mailing_id, list_id, contact_id, channel, address, fkey, state, reason, detail, attempts, due_at, begun_at,"
    " ended_at, reply_code, reply_text, source, route"
)
_ONE = f"SELECT {_COLUMNS} FROM messages WHERE account_id = $1 AND contact_id = $2 AND mailing_id = $3"
# State by state, each in the order of its index: with all states in one condition PostgreSQL sorts the whole mailing for
# every page.
_OF_MAILING = f"""
SELECT {_COLUMNS} FROM unnest($3::text[]) AS s(wanted) CROSS JOIN LATERAL (
       SELECT {_COLUMNS} FROM messages
        WHERE account_id = $1 AND mailing_id = $2 AND state = s.wanted
          AND id > CASE WHEN s.wanted = $4 THEN $5::uuid ELSE '00000000-0000-0000-0000-000000000000' END
        ORDER BY id LIMIT $6) AS page
 WHERE s.wanted >= $4 ORDER BY state, id LIMIT $6
"""
_OF_CONTACT = f"""
SELECT {_COLUMNS} FROM messages WHERE account_id = $1 AND contact_id = $2 AND mailing_id > $3
 ORDER BY mailing_id LIMIT $4
"""
_UNSETTLED = """
SELECT EXISTS (SELECT FROM messages WHERE account_id = $1 AND mailing_id = $2
                  AND state IN ('queued', 'scheduled', 'claimed', 'sending', 'deferred', 'held'))
"""
# One chunk of a cancel, in the lock order of every writer: messages by id, then cap rows.
_CANCEL = """
WITH locked AS MATERIALIZED (
    SELECT id, list_id, channel, address_key, cap_instant FROM messages
     WHERE account_id = $1 AND mailing_id = $2 AND state IN ('queued', 'scheduled', 'held', 'deferred', 'claimed')
     ORDER BY id LIMIT $3 FOR UPDATE
)
UPDATE messages m SET state = 'cancelled', reason = $4, ended_at = clock_timestamp(), claimed_until = NULL,
       fence = NULL, attempt_id = NULL, cap_instant = NULL
  FROM locked WHERE m.account_id = $1 AND m.id = locked.id
RETURNING locked.list_id, locked.channel, locked.address_key, locked.cap_instant
"""


async def counts(tx: Transaction, account_id: UUID, mailing_id: UUID) -> dict[str, int]:
    """How many messages of a mailing are in each state."""
    return {row["state"]: row["n"] for row in await tx.driver.fetch(_COUNTS, account_id, mailing_id)}


async def unsettled(tx: Transaction, account_id: UUID, mailing_id: UUID) -> bool:
    """Whether any message of the mailing may still change by itself."""
    return bool(await tx.driver.fetchval(_UNSETTLED, account_id, mailing_id))


async def one(tx: Transaction, account_id: UUID, mailing_id: UUID, contact_id: UUID) -> Message | None:
    """The message of a mailing to a contact."""
    row = await tx.driver.fetchrow(_ONE, account_id, contact_id, mailing_id)
    return None if row is None else _message(row)


async def of_mailing(
    tx: Transaction,
    account_id: UUID,
    mailing_id: UUID,
    states: Sequence[str],
    after: tuple[str, UUID],
    limit: int,
) -> list[Message]:
    """A page of a mailing's messages in some states, by state and id."""
    rows = await tx.driver.fetch(_OF_MAILING, account_id, mailing_id, list(states), after[0], after[1], limit)
    return [_message(row) for row in rows]


async def of_contact(
    tx: Transaction, account_id: UUID, contact_id: UUID, after: UUID, limit: int
) -> list[Message]:
    """Every message that was meant for a contact, oldest mailing first."""
    return [_message(row) for row in await tx.driver.fetch(_OF_CONTACT, account_id, contact_id, after, limit)]


async def cancel_some(
    tx: Transaction, account_id: UUID, mailing_id: UUID, reason: str, limit: int
) -> list[Record]:
    """Cancels at most `limit` messages that have not begun; returns each with the cap instant it held."""
    return list(await tx.driver.fetch(_CANCEL, account_id, mailing_id, limit, reason))


def _message(row: Record) -> Message:
    return Message(
        id=row["id"],
        mailing_id=row["mailing_id"],
        list_id=row["list_id"],
        contact_id=row["contact_id"],
        channel=row["channel"],
        address=row["address"],
        fkey=row["fkey"],
        state=row["state"],
        reason=row["reason"],
        detail={} if row["detail"] is None else row["detail"],
        attempts=row["attempts"],
        due_at=row["due_at"],
        begun_at=row["begun_at"],
        ended_at=row["ended_at"],
        reply_code=row["reply_code"],
        reply_text=row["reply_text"],
        source=row["source"],
        route=row["route"],
    )
