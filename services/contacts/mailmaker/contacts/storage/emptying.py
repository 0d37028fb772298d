"""contacts.storage.emptying: what becomes of each table when the grace of a closing is over; what says "no" stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.emptying import Blanked, Emptying
from mailmaker.common.storage.transaction import Transaction

# In this order: an export under way finds itself gone before its contacts are; what refers goes before what it names.
EMPTYING = Emptying(
    emptied={
        "exports": "",
        "export_chunks": "",
        "plans": "",
        "plan_rows": "",
        "engagement_mailings": "",
        "engagement": "",
        "contact_history": "",
        "contacts": "",
        "segment_rules": "",
        "segments": "",
        "list_fields": "",
    },
    blanked={
        "lists": Blanked(
            sets="name = '-', controller_name = '-', controller_email = '-', closed_at = coalesce(closed_at, now())",
            needed="name <> '-' OR controller_name <> '-' OR controller_email <> '-' OR closed_at IS NULL",
            why='"no"s name the list they are about; who was responsible for it is gone',
        )
    },
    kept={
        "accounts": "that there was the account, when it was closed and when emptied; its number is never given again",
        "api_keys": 'hashes of keys that open nothing any more but the doors for a "no"',
        "nos": 'the copy of every "no", by keyed hashes',
        "tombstones": "erased people, by keyed hashes",
        "lifts": "whose opt-outs an import with a stated basis lifted, by ids: evidence",
        "counters": "the platform's: numbers without gaps",
        "feed_position": "the platform's: how far the feed has been applied",
        "pepper": "the platform's: the check value of the pepper",
    },
)
# An account whose opt-outs are still being handed over waits: a "no" that was taken is kept. What was emptied is looked
# through again for as long as topics keep what may come late.
OVER = """
SELECT account_id, emptied_at IS NULL AS first FROM accounts a
 WHERE state = 'closed' AND closed_at <= $1 AND (emptied_at IS NULL OR emptied_at > now() - interval '10 days')
   AND NOT EXISTS (SELECT FROM plans p WHERE p.account_id = a.account_id AND p.options->>'mode' = 'opt_out'
                      AND (p.due_at IS NOT NULL OR p.recording_at IS NOT NULL))
 ORDER BY closed_at
"""
DONE = "UPDATE accounts SET emptied_at = $2 WHERE account_id = $1 AND state = 'closed' AND emptied_at IS NULL"


async def over(tx: Transaction, before: datetime) -> Sequence[tuple[UUID, bool]]:
    """Accounts that were closed before an instant and may hold data, each with whether that is so for the first time."""
    return [(row["account_id"], row["first"]) for row in await tx.driver.fetch(OVER, before)]


async def done(tx: Transaction, account_id: UUID, at: datetime) -> bool:
    """False: it was ended before."""
    told = await tx.driver.execute(DONE, account_id, at)
    return bool(told.endswith(" 1"))
