"""dispatch.storage: the work of expanding mailings: who is at it, since when, and whether it still counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction

LEASE = 30.0
"""Seconds without a sign of life after which another process begins anew."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at expanding one mailing."""

    account_id: UUID
    mailing_id: UUID
    attempt: UUID
    tries: int


_REQUEST = """
INSERT INTO expansions (account_id, mailing_id, due_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
_TAKE = """
UPDATE expansions e SET attempt = $1, tries = tries + 1, lease_until = clock_timestamp() + $2 * interval '1 second'
 WHERE (account_id, mailing_id) = (
    SELECT account_id, mailing_id FROM expansions
     WHERE done_at IS NULL AND due_at <= clock_timestamp()
       AND (lease_until IS NULL OR lease_until < clock_timestamp()) AND account_id = ANY($3)
     ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING account_id, mailing_id, attempt, tries
"""
_RENEW = """
UPDATE expansions SET lease_until = clock_timestamp() + $4 * interval '1 second'
 WHERE account_id = $1 AND mailing_id = $2 AND attempt = $3 AND done_at IS NULL
"""
_MINE = """
SELECT 1 FROM expansions WHERE account_id = $1 AND mailing_id = $2 AND attempt = $3 AND done_at IS NULL FOR UPDATE
"""
_DONE = """
UPDATE expansions SET done_at = clock_timestamp(), recipients = $4, error = NULL, lease_until = NULL
 WHERE account_id = $1 AND mailing_id = $2 AND attempt = $3
"""
_EXPANDED = "UPDATE mailings SET expanded_at = clock_timestamp() WHERE account_id = $1 AND id = $2"
_FAILED = """
UPDATE expansions SET error = $4, lease_until = NULL, due_at = clock_timestamp() + $5 * interval '1 second'
 WHERE account_id = $1 AND mailing_id = $2 AND attempt = $3 AND done_at IS NULL
"""


async def request(tx: Transaction, account_id: UUID, mailing_id: UUID, due_at: datetime) -> None:
    """Asks for a mailing's expansion at a time."""
    await tx.driver.execute(_REQUEST, account_id, mailing_id, due_at)


async def take(tx: Transaction, attempt: UUID, accounts: frozenset[UUID]) -> Attempt | None:
    """The next expansion that is due in one of the accounts, for this attempt alone until its lease ends."""
    row = await tx.driver.fetchrow(_TAKE, attempt, LEASE, list(accounts))
    return (
        None if row is None else Attempt(row["account_id"], row["mailing_id"], row["attempt"], row["tries"])
    )


async def renew(tx: Transaction, attempt: Attempt) -> bool:
    """A sign of life. False when another attempt has taken over."""
    done = await tx.driver.execute(_RENEW, attempt.account_id, attempt.mailing_id, attempt.attempt, LEASE)
    return bool(done.endswith("1"))


async def mine(tx: Transaction, attempt: Attempt) -> bool:
    """Whether this attempt still counts; locks it to the commit. An attempt that was overtaken must change nothing."""
    found = await tx.driver.fetchval(_MINE, attempt.account_id, attempt.mailing_id, attempt.attempt)
    return found is not None


async def done(tx: Transaction, attempt: Attempt, recipients: int) -> None:
    """Ends the attempt with the commit that made the messages."""
    await tx.driver.execute(_DONE, attempt.account_id, attempt.mailing_id, attempt.attempt, recipients)
    await tx.driver.execute(_EXPANDED, attempt.account_id, attempt.mailing_id)


async def failed(tx: Transaction, attempt: Attempt, error: str, pause: float) -> None:
    """Gives the attempt back, to be begun anew after a pause."""
    await tx.driver.execute(_FAILED, attempt.account_id, attempt.mailing_id, attempt.attempt, error, pause)
