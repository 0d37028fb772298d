"""contacts.storage.nos: this house's copy of every "no" by suppression key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.internal import FeedItem
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import NOBODY
from mailmaker.contacts.domain.consent import WITHDRAWING, outweighs

POSITION = "SELECT number FROM feed_position WHERE name = 'contacts'"
LOCK_POSITION = POSITION + " FOR UPDATE"
ADVANCE = "UPDATE feed_position SET number = $1 WHERE name = 'contacts'"
# Who looks whether somebody said "no" and then writes contacts shares this lock until the commit; who adds "no"s and then
# looks for the contacts they meet holds it alone. So one of the two always sees the other.
SHARE = "SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 13))"
ALONE = "SELECT pg_advisory_xact_lock(hashtextextended($1, 13))"

UPSERT = """
INSERT INTO nos (account_id, channel, subject, list_id, number, suppression_id, reason, released, recorded_at)
SELECT $1, c, s, l, n, i, r, x, a
  FROM unnest($2::text[], $3::bytea[], $4::uuid[], $5::bigint[], $6::uuid[], $7::text[], $8::boolean[], $9::timestamptz[])
       AS f(c, s, l, n, i, r, x, a)
ON CONFLICT (account_id, channel, subject, list_id) DO UPDATE
   SET number = excluded.number, suppression_id = excluded.suppression_id, reason = excluded.reason,
       released = excluded.released, recorded_at = excluded.recorded_at
 WHERE nos.number < excluded.number
   AND (excluded.released OR nos.released OR excluded.reason = ANY($10::text[]) OR nos.reason <> ALL($10::text[]))
"""
"""domain.consent.outweighs() said set-based. $10 reasons that withdraw."""
STANDING = """
SELECT channel, subject FROM nos
 WHERE account_id = $1 AND channel IN ('email', 'sms') AND subject = ANY($2::bytea[])
   AND list_id IN ($3, $4) AND NOT released AND reason = ANY($5::text[])
UNION ALL
SELECT channel, subject FROM tombstones WHERE account_id = $1 AND channel IN ('email', 'sms') AND subject = ANY($2::bytea[])
"""
# An opt-out stands by several keys: each of them is as new as its last word.
SAID_AGAIN = """
WITH held AS (
  SELECT n.channel, n.subject, n.list_id FROM nos n
   WHERE n.account_id = $1 AND NOT n.released AND n.recorded_at IS DISTINCT FROM greatest(n.recorded_at, $4)
     AND n.suppression_id IN (
         SELECT m.suppression_id FROM nos m JOIN unnest($2::text[], $3::bytea[]) AS s(channel, subject)
                ON m.account_id = $1 AND m.channel = s.channel AND m.subject = s.subject)
   ORDER BY n.channel, n.subject, n.list_id FOR UPDATE
)
UPDATE nos n SET recorded_at = $4 FROM held h
 WHERE n.account_id = $1 AND n.channel = h.channel AND n.subject = h.subject AND n.list_id = h.list_id
"""
BURY = """
INSERT INTO tombstones (account_id, channel, subject, erased_at)
SELECT $1, c, s, $2 FROM unnest($3::text[], $4::bytea[]) AS t(c, s)
ON CONFLICT DO NOTHING
"""


async def position(tx: Transaction, *, lock: bool = False) -> int:
    return int(await tx.driver.fetchval(LOCK_POSITION if lock else POSITION))


async def advance(tx: Transaction, number: int) -> None:
    await tx.driver.execute(ADVANCE, number)


async def share(tx: Transaction, account_id: UUID) -> None:
    """Before looking for standing "no"s in order to write contacts."""
    await tx.driver.execute(SHARE, str(account_id))


async def alone(tx: Transaction, account_id: UUID) -> None:
    """Before adding "no"s. Waits for the account's running writes and imports."""
    await tx.driver.execute(ALONE, str(account_id), timeout=900)


async def keep(tx: Transaction, account_id: UUID, items: Sequence[FeedItem]) -> None:
    """Stores feed items of one account, in their order; an older number never replaces a newer one."""
    kept: dict[tuple[str, bytes, UUID], FeedItem] = {}
    for item in items:
        for subject in item.subjects:
            key = (item.channel, bytes.fromhex(subject), item.list_id or NOBODY)
            held = kept.get(key)
            if held is None or item.released or outweighs(item.reason, held.reason, released=held.released):
                kept[key] = item
    if kept:
        rows = [
            (*key, i.number, i.suppression_id, i.reason, i.released, i.recorded_at) for key, i in kept.items()
        ]
        await tx.driver.execute(UPSERT, account_id, *map(list, zip(*rows, strict=True)), list(WITHDRAWING))


async def standing(
    tx: Transaction,
    account_id: UUID,
    list_id: UUID,
    subjects: Sequence[bytes],
    reasons: Collection[str] = WITHDRAWING,
) -> list[tuple[str, bytes]]:
    """The "no"s and tombstones, as (channel, subject), that concern these suppression keys in a list."""
    rows = await tx.driver.fetch(STANDING, account_id, list(subjects), list_id, NOBODY, list(reasons))
    return [(row["channel"], bytes(row["subject"])) for row in rows]


async def said_again(
    tx: Transaction, account_id: UUID, said: Sequence[tuple[str, bytes]], at: datetime
) -> None:
    """A client has repeated these "no"s, as (channel, subject), and suppression does not hear of it: what asks it to lift
    opt-outs that are older than a file looks here first."""
    if said:
        await tx.driver.execute(SAID_AGAIN, account_id, *map(list, zip(*said, strict=True)), at)


async def bury(tx: Transaction, account_id: UUID, at: datetime, stones: Sequence[tuple[str, bytes]]) -> None:
    if stones:
        await tx.driver.execute(BURY, account_id, at, *map(list, zip(*stones, strict=True)))
