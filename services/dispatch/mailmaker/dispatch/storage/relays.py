"""dispatch.storage: relays alive, and what a dead one leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from asyncpg import Record
from mailmaker.common.storage.transaction import Transaction

_TAKE = """
INSERT INTO relays (lease_until, host, pid, place, started_at)
VALUES (clock_timestamp() + $1 * interval '1 second', $2, $3, $4, clock_timestamp()) RETURNING fence
"""
_RENEW = """
UPDATE relays SET lease_until = clock_timestamp() + $2 * interval '1 second'
 WHERE fence = $1 AND lease_until > clock_timestamp() RETURNING fence
"""
_LEAVE = "DELETE FROM relays WHERE fence = $1"
_BURY = "DELETE FROM relays WHERE lease_until < clock_timestamp() RETURNING fence, place, pid"
# Rows whose relay is gone, and claims that ran out unbegun. What somebody else is changing now is looked at next time.
_ORPHANS = """
WITH orphans AS MATERIALIZED (
    SELECT m.account_id, m.id, m.state, m.list_id, m.channel, m.address_key, m.cap_instant FROM messages m
     WHERE m.state IN ('claimed', 'sending')
       AND (NOT EXISTS (SELECT FROM relays r WHERE r.fence = m.fence AND r.lease_until >= clock_timestamp())
            OR (m.state = 'claimed' AND m.claimed_until < clock_timestamp() - interval '2 seconds'))
     ORDER BY m.account_id, m.id LIMIT $1 FOR UPDATE OF m SKIP LOCKED
)
UPDATE messages m SET
       state = CASE o.state WHEN 'claimed' THEN 'queued' ELSE 'uncertain' END,
       reason = CASE o.state WHEN 'claimed' THEN m.reason ELSE 'relay' END,
       ended_at = CASE o.state WHEN 'claimed' THEN NULL ELSE clock_timestamp() END,
       attempt_id = CASE o.state WHEN 'claimed' THEN NULL ELSE m.attempt_id END,
       cap_instant = CASE o.state WHEN 'claimed' THEN NULL ELSE m.cap_instant END,
       fence = NULL, claimed_until = NULL
  FROM orphans o WHERE m.account_id = o.account_id AND m.id = o.id
RETURNING m.account_id, m.id, m.mailing_id, m.contact_id, m.list_id, m.channel, m.address_key, m.state, m.ended_at,
          o.cap_instant
"""
# What a relay that ends in peace still holds.
_ABANDON = """
WITH held AS MATERIALIZED (
    SELECT m.account_id, m.id, m.state, m.list_id, m.channel, m.address_key, m.cap_instant FROM messages m
     WHERE m.state IN ('claimed', 'sending') AND m.fence = $1
     ORDER BY m.account_id, m.id FOR UPDATE OF m
)
UPDATE messages m SET
       state = CASE h.state WHEN 'claimed' THEN 'queued' ELSE 'uncertain' END,
       reason = CASE h.state WHEN 'claimed' THEN m.reason ELSE 'relay' END,
       ended_at = CASE h.state WHEN 'claimed' THEN NULL ELSE clock_timestamp() END,
       attempt_id = CASE h.state WHEN 'claimed' THEN NULL ELSE m.attempt_id END,
       cap_instant = CASE h.state WHEN 'claimed' THEN NULL ELSE m.cap_instant END,
       fence = NULL, claimed_until = NULL
  FROM held h WHERE m.account_id = h.account_id AND m.id = h.id
RETURNING m.account_id, m.id, m.list_id, m.channel, m.address_key, m.state, h.cap_instant
"""


@dataclass(frozen=True, slots=True)
class Buried:
    """A relay whose lease ran out: its fence and its process. `place` tells which processes its number is known to."""

    fence: int
    place: str
    pid: int


async def take(tx: Transaction, seconds: float, host: str, pid: int, place: str) -> int:
    """A fence that no relay had before, with a lease."""
    return int(await tx.driver.fetchval(_TAKE, seconds, host, pid, place))


async def renew(tx: Transaction, fence: int, seconds: float) -> bool:
    """Lengthens a lease. False when it has run out: it is never revived."""
    return await tx.driver.fetchval(_RENEW, fence, seconds) is not None


async def leave(tx: Transaction, fence: int) -> None:
    """The relay ends and holds nothing any more."""
    await tx.driver.execute(_LEAVE, fence)


async def abandon(tx: Transaction, fence: int) -> list[Record]:
    """Puts what a relay still holds where a sweep would put it, without waiting for one."""
    return list(await tx.driver.fetch(_ABANDON, fence))


async def bury(tx: Transaction) -> list[Buried]:
    """Removes the relays whose lease has run out."""
    return [Buried(**row) for row in await tx.driver.fetch(_BURY)]


async def orphans(tx: Transaction, limit: int) -> list[Record]:
    """Takes messages back from dead relays: claimed ones to the line, begun ones to `uncertain`."""
    return list(await tx.driver.fetch(_ORPHANS, limit))
