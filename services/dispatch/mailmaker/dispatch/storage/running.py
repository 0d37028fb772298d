"""dispatch.storage: what a relay looks at all the time: running mailings, the watermark, new "no"s."""

from __future__ import annotations

from uuid import UUID

from asyncpg import Record
from mailmaker.common.storage.transaction import Transaction

_RUNNING = """
SELECT r.account_id, r.id, r.number, r.channel, r.class, r.list_ids, r.valid_until,
       EXISTS (SELECT FROM messages m WHERE m.account_id = r.account_id AND m.mailing_id = r.id
                  AND m.state IN ('queued', 'scheduled', 'deferred', 'held') AND m.due_at <= clock_timestamp()) AS due,
       coalesce(r.valid_until <= clock_timestamp(), false) AS over,
       r.sender_id, split_part(r.from_email, '@', 2) AS sender_domain, r.tag, r.rate,
       EXISTS (SELECT FROM pools p WHERE p.account_id = r.account_id) AS pooled
  FROM mailings r JOIN known_accounts a ON a.account_id = r.account_id AND a.state = 'open'
 WHERE r.state = 'running' AND r.channel = 'email' AND r.expanded_at IS NOT NULL
 ORDER BY r.account_id, r.id LIMIT 10000
"""
_SINCE = """
(SELECT source, number, account_id, channel, subject, list_id, reason, released FROM suppressed
  WHERE source = 'feed' AND number > $1 ORDER BY number LIMIT $3)
UNION ALL
(SELECT source, number, account_id, channel, subject, list_id, reason, released FROM suppressed
  WHERE source = 'contacts' AND number > $2 ORDER BY number LIMIT $3)
"""
_NUMBERS = """
SELECT (SELECT number FROM feed_position) AS feed,
       coalesce((SELECT number FROM suppressed WHERE source = 'contacts' ORDER BY number DESC LIMIT 1), 0) AS contacts
"""
_COPY = """
SELECT r.account_id, r.id, r.account_number, r.number, r.sender_id, r.subject, r.html, r.body, r.from_name,
       r.from_email, r.reply_to, r.domain_id, d.name AS domain, d.selector, d.private_key,
       k.selector AS second_selector, k.private_key AS second_key
  FROM mailings r JOIN domains d ON d.account_id = r.account_id AND d.id = r.domain_id
  LEFT JOIN domain_keys k ON k.account_id = d.account_id AND k.domain_id = d.id
       AND k.algorithm = 'ed25519' AND k.state = 'signing'
 WHERE r.account_id = $1 AND r.id = $2
"""


async def running(tx: Transaction) -> list[Record]:
    """Running mailings of open accounts, each with whether something is due and whether its validity is over."""
    return list(await tx.driver.fetch(_RUNNING))


async def since(tx: Transaction, feed: int, contacts: int, limit: int) -> list[Record]:
    """Standing directives newer than these numbers."""
    return list(await tx.driver.fetch(_SINCE, feed, contacts, limit))


async def numbers(tx: Transaction) -> tuple[int, int]:
    """Where the two sources of directives stand now."""
    row = await tx.driver.fetchrow(_NUMBERS)
    return int(row["feed"]), int(row["contacts"])


async def copy_of(tx: Transaction, account_id: UUID, mailing_id: UUID) -> Record | None:
    """A mailing's frozen text with the keys of its domain, sealed: RSA's, and Ed25519's where the DNS shows it."""
    return await tx.driver.fetchrow(_COPY, account_id, mailing_id)
