"""dispatch.storage: mailings, their numbers, and what is still to do for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.mailing import Mailing, MailingState

_COLUMNS = (
    "account_id, account_number, id, number, name, channel, class, state, template_id, sender_id, domain_id, list_ids,"
    " subject, html, body, fields, from_name, from_email, reply_to, rate, schedule, valid_until, failure, created_at,"
    " started_at, expanded_at, ended_at, segment_id, segment_version, version, tag"
)
# The counter's row lock is held to the commit, so an account's mailings are numbered without gaps or doubles.
_NUMBER = """
INSERT INTO mailing_numbers (account_id, last) VALUES ($1, 1)
ON CONFLICT (account_id) DO UPDATE SET last = mailing_numbers.last + 1 RETURNING last
"""
_ADD = f"""
INSERT INTO mailings ({_COLUMNS})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, NULL,
        $23, NULL, NULL, NULL, $24, NULL, 1, $25)
"""
_ONE = f"SELECT {_COLUMNS} FROM mailings WHERE account_id = $1 AND id = $2"
_LOCKED = f"{_ONE} FOR UPDATE"
_PAGE = f"SELECT {_COLUMNS} FROM mailings WHERE account_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
_IDS = "SELECT number, id FROM mailings WHERE account_id = $1 AND number = ANY($2)"
_MOVE = f"""
UPDATE mailings SET state = $3, version = version + 1,
       started_at = CASE WHEN $3 IN ('running', 'scheduled') THEN coalesce(started_at, $4) ELSE started_at END,
       ended_at = CASE WHEN $3 IN ('finished', 'cancelled', 'failed') THEN $4 ELSE ended_at END,
       failure = coalesce($5::jsonb, failure), valid_until = coalesce($6, valid_until),
       segment_version = coalesce($7, segment_version)
 WHERE account_id = $1 AND id = $2 RETURNING {_COLUMNS}
"""
_LIVE = """
SELECT account_id, id FROM mailings m
 WHERE (state = 'running' AND expanded_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM messages g WHERE g.account_id = m.account_id AND g.mailing_id = m.id
           AND g.state IN ('queued', 'scheduled', 'claimed', 'sending', 'deferred', 'held')))
    OR (state IN ('cancelled', 'failed') AND ended_at > clock_timestamp() - interval '7 days' AND EXISTS (
        SELECT FROM messages g WHERE g.account_id = m.account_id AND g.mailing_id = m.id
           AND g.state IN ('queued', 'scheduled', 'deferred', 'held', 'claimed')))
 ORDER BY account_id, id LIMIT $1
"""


async def next_number(tx: Transaction, account_id: UUID) -> int:
    """The next small number of the account."""
    return int(await tx.driver.fetchval(_NUMBER, account_id))


async def add(tx: Transaction, m: Mailing) -> None:
    """Writes a new mailing."""
    await tx.driver.execute(
        _ADD,
        m.account_id,
        m.account_number,
        m.id,
        m.number,
        m.name,
        m.channel,
        m.mail_class,
        m.state,
        m.template_id,
        m.sender_id,
        m.domain_id,
        list(m.list_ids),
        m.subject,
        m.html,
        m.body,
        list(m.fields),
        m.from_name,
        m.from_email,
        m.reply_to,
        m.rate,
        m.schedule,
        m.valid_until,
        m.created_at,
        m.segment_id,
        m.tag,
    )


async def one(tx: Transaction, account_id: UUID, mailing_id: UUID, *, lock: bool = False) -> Mailing | None:
    """A mailing of the account; `lock` holds its row to the commit."""
    row = await tx.driver.fetchrow(_LOCKED if lock else _ONE, account_id, mailing_id)
    return None if row is None else _mailing(row)


async def page(tx: Transaction, account_id: UUID, before: UUID, limit: int) -> list[Mailing]:
    """Mailings, the newest first."""
    return [_mailing(row) for row in await tx.driver.fetch(_PAGE, account_id, before, limit)]


async def ids_of(tx: Transaction, account_id: UUID, numbers: Sequence[int]) -> dict[int, UUID]:
    """Mailings of the account by their small numbers."""
    rows = await tx.driver.fetch(_IDS, account_id, list(numbers))
    return {row["number"]: row["id"] for row in rows}


async def move(
    tx: Transaction,
    mailing: Mailing,
    state: MailingState,
    at: datetime,
    *,
    failure: str | None = None,
    valid_until: datetime | None = None,
    segment_version: int | None = None,
) -> Mailing:
    """Writes a mailing's new state. Its row must be locked."""
    why = None if failure is None else json.dumps({"detail": failure})
    row = await tx.driver.fetchrow(
        _MOVE, mailing.account_id, mailing.id, state, at, why, valid_until, segment_version
    )
    return _mailing(row)


async def to_settle(tx: Transaction, limit: int) -> list[tuple[UUID, UUID]]:
    """Mailings that may have finished, and stopped ones that still have messages to stop."""
    return [(row["account_id"], row["id"]) for row in await tx.driver.fetch(_LIVE, limit)]


def _mailing(row: Record) -> Mailing:
    return Mailing(
        account_id=row["account_id"],
        account_number=row["account_number"],
        id=row["id"],
        number=row["number"],
        name=row["name"],
        channel=row["channel"],
        mail_class=row["class"],
        state=row["state"],
        template_id=row["template_id"],
        sender_id=row["sender_id"],
        domain_id=row["domain_id"],
        list_ids=tuple(row["list_ids"]),
        subject=row["subject"],
        html=row["html"],
        body=row["body"],
        fields=tuple(row["fields"]),
        from_name=row["from_name"],
        from_email=row["from_email"],
        reply_to=row["reply_to"],
        rate=row["rate"],
        schedule=row["schedule"],
        valid_until=row["valid_until"],
        failure=None if row["failure"] is None else row["failure"]["detail"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        expanded_at=row["expanded_at"],
        ended_at=row["ended_at"],
        version=row["version"],
        segment_id=row["segment_id"],
        segment_version=row["segment_version"],
        tag=row["tag"],
    )
