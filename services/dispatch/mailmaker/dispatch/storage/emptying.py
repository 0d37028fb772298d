"""dispatch.storage: what becomes of each table when an account is gone. Nothing that names a person stays, and no key that
signs; what was decided about each recipient does, by ids and keyed hashes: it proves that a "no" was kept."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.storage.emptying import Blanked, Emptying
from mailmaker.common.storage.transaction import Transaction

EMPTYING = Emptying(
    emptied={
        "expansions": "",
        "senders": "",
        "templates": "",
        "domain_keys": "",
        "domains": "",
        "lists": "",
        "caps": "",
        "routes": "",
        "sources": "",
        "pools": "",
        "paths": "",
        "warmups": "",
    },
    blanked={
        "messages": Blanked(
            sets="address = '', fkey = NULL, fkey_subject = NULL, merge = NULL, reply_text = NULL",
            needed="(address <> '' OR fkey IS NOT NULL OR fkey_subject IS NOT NULL OR merge IS NOT NULL"
            " OR reply_text IS NOT NULL)"
            " AND state NOT IN ('queued', 'scheduled', 'deferred', 'held', 'claimed', 'sending')",
            why="the decision ledger: what began when, by which place in the feed, and why the others did not",
        ),
        "mailings": Blanked(
            sets="name = '-', subject = '', html = '', body = '', fields = '{}', from_name = '-', from_email = '-',"
            " reply_to = NULL, failure = NULL",
            needed="name <> '-' OR subject <> '' OR html <> '' OR body <> '' OR fields <> '{}' OR from_name <> '-'"
            " OR from_email <> '-' OR reply_to IS NOT NULL OR failure IS NOT NULL",
            why="which mailing a decision is about, when it ran, and how it ended",
        ),
    },
    kept={
        "suppressed": 'the standing "no"s, by keyed hashes: whatever comes, it finds them',
        "mailing_numbers": "a number is never given twice: links and return paths name mailings by it",
        "feed_position": "the platform's: how far the feed has been applied",
        "relays": "the platform's: the relays alive",
        "sites": "the platform's: what the DNS said about domains",
    },
)
_UNENDED = """
SELECT id FROM mailings WHERE account_id = $1 AND state IN ('draft', 'scheduled', 'running', 'paused') ORDER BY id LIMIT $2
"""
_UNSTOPPED = """
SELECT id FROM mailings m WHERE account_id = $1 AND EXISTS (
       SELECT FROM messages g WHERE g.account_id = m.account_id AND g.mailing_id = m.id
          AND g.state IN ('queued', 'scheduled', 'deferred', 'held', 'claimed'))
 ORDER BY id LIMIT $2
"""
_UNDER_WAY = """
SELECT EXISTS (SELECT FROM mailings m JOIN messages g ON g.account_id = m.account_id AND g.mailing_id = m.id
                WHERE m.account_id = $1 AND g.state = 'sending')
"""


async def unended(tx: Transaction, account_id: UUID, limit: int) -> Sequence[UUID]:
    """Mailings of the account that have not ended."""
    return [row["id"] for row in await tx.driver.fetch(_UNENDED, account_id, limit)]


async def unstopped(tx: Transaction, account_id: UUID, limit: int) -> Sequence[UUID]:
    """Mailings of the account with messages that have not begun and not ended."""
    return [row["id"] for row in await tx.driver.fetch(_UNSTOPPED, account_id, limit)]


async def under_way(tx: Transaction, account_id: UUID) -> bool:
    """Whether a message of the account has begun and has no outcome yet."""
    return bool(await tx.driver.fetchval(_UNDER_WAY, account_id))
