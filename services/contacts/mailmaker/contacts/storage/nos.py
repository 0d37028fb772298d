"""contacts.storage.nos: this house's copy of every "no" by suppression key, and what it does to contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.internal import FeedItem
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import NOBODY, new_id
from mailmaker.contacts.domain.consent import WITHDRAWING

POSITION = "SELECT number FROM feed_position WHERE name = 'contacts'"
LOCK_POSITION = POSITION + " FOR UPDATE"
ADVANCE = "UPDATE feed_position SET number = $1 WHERE name = 'contacts'"
# Who looks whether somebody said "no" and then writes contacts shares this lock until the commit; who adds "no"s and then
# looks for the contacts they meet holds it alone. So one of the two always sees the other.
SHARE = "SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 13))"
ALONE = "SELECT pg_advisory_xact_lock(hashtextextended($1, 13))"

UPSERT = """
INSERT INTO nos (account_id, channel, subject, list_id, number, suppression_id, reason, released, recorded_at)
SELECT DISTINCT ON (c, s, l) $1, c, s, l, n, i, r, x, a
  FROM unnest($2::text[], $3::bytea[], $4::uuid[], $5::bigint[], $6::uuid[], $7::text[], $8::boolean[], $9::timestamptz[])
       AS f(c, s, l, n, i, r, x, a)
 ORDER BY c, s, l, n DESC
ON CONFLICT (account_id, channel, subject, list_id) DO UPDATE
   SET number = excluded.number, suppression_id = excluded.suppression_id, reason = excluded.reason,
       released = excluded.released, recorded_at = excluded.recorded_at
 WHERE nos.number < excluded.number
"""
STANDING = """
SELECT channel, subject FROM nos
 WHERE account_id = $1 AND channel IN ('email', 'sms') AND subject = ANY($2::bytea[])
   AND list_id IN ($3, $4) AND NOT released AND reason = ANY($5::text[])
UNION ALL
SELECT channel, subject FROM tombstones WHERE account_id = $1 AND channel IN ('email', 'sms') AND subject = ANY($2::bytea[])
"""
BURIED = "SELECT channel, subject FROM tombstones WHERE account_id = $1 AND subject = ANY($2::bytea[])"
BURY = """
INSERT INTO tombstones (account_id, channel, subject, erased_at)
SELECT $1, c, s, $2 FROM unnest($3::text[], $4::bytea[]) AS t(c, s)
ON CONFLICT DO NOTHING
"""


def _hit(key: str) -> str:
    """Contacts of account $1 that one of these suppression keys names, each with one of its suppressions."""
    return f"""
said AS (
    SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::bytea[], $5::uuid[], $6::uuid[], $7::bytea[])
                  AS s(suppression_id, list_id, address, contact_id, fkey_list, fkey_hash)
), met AS (
    SELECT c.id, s.suppression_id FROM said s JOIN contacts c ON c.account_id = $1 AND c.{key} = s.address
     WHERE s.list_id IN (c.list_id, $8)
    UNION ALL
    SELECT c.id, s.suppression_id FROM said s JOIN contacts c ON c.account_id = $1 AND c.id = s.contact_id
    UNION ALL
    SELECT c.id, s.suppression_id FROM said s
      JOIN contacts c ON c.account_id = $1 AND c.list_id = s.fkey_list AND c.fkey_hash = s.fkey_hash
), hit AS (SELECT DISTINCT ON (id) id, suppression_id FROM met ORDER BY id, suppression_id)
"""


_RETURNING = """
RETURNING c.id, c.list_id, c.email_key, c.mobile_key, c.email_consent, c.sms_consent, c.version, h.suppression_id
"""


def _withdraw(consent: str, key: str) -> str:
    return f"""
WITH {_hit(key)}
UPDATE contacts c SET {consent} = 'unsubscribed', changed_at = $9, version = c.version + 1
  FROM hit h JOIN contacts o ON o.account_id = $1 AND o.id = h.id
 WHERE c.account_id = $1 AND c.id = h.id AND c.{consent} <> 'unsubscribed' {_RETURNING},
       jsonb_build_object('{consent}', o.{consent})::text AS before, '{{"{consent}": "unsubscribed"}}' AS after
"""


def _restore(consent: str, key: str, channel: str) -> str:
    return f"""
WITH {_hit(key)}
UPDATE contacts c SET {consent} = was.consent, changed_at = $9, version = c.version + 1
  FROM hit h CROSS JOIN LATERAL (
       SELECT y.before ->> '{consent}' AS consent FROM contact_history y
        WHERE y.account_id = $1 AND y.contact_id = h.id AND y.what = 'withdrawn' AND y.before ? '{consent}'
        ORDER BY y.id DESC LIMIT 1) was
 WHERE c.account_id = $1 AND c.id = h.id AND c.{consent} = 'unsubscribed' AND NOT EXISTS (
       SELECT FROM nos n WHERE n.account_id = $1 AND n.channel = '{channel}' AND NOT n.released
          AND n.reason = ANY($10::text[]) AND n.list_id IN (c.list_id, $8)
          AND n.subject IN ('\\x61'::bytea || c.{key}, '\\x63'::bytea || uuid_send(c.id),
                            '\\x66'::bytea || uuid_send(c.list_id) || c.fkey_hash)) {_RETURNING},
       '{{"{consent}": "unsubscribed"}}' AS before, jsonb_build_object('{consent}', c.{consent})::text AS after
"""


WITHDRAW = {"email": _withdraw("email_consent", "email_key"), "sms": _withdraw("sms_consent", "mobile_key")}
RESTORE = {
    "email": _restore("email_consent", "email_key", "email"),
    "sms": _restore("sms_consent", "mobile_key", "sms"),
}
HISTORY = """
INSERT INTO contact_history (account_id, contact_id, id, list_id, at, what, by, before, after, suppression_id, door)
SELECT $1, c, i, l, $2, $3, 'suppression:' || s, b::jsonb, a::jsonb, s, d
  FROM unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::text[], $10::text[]) AS h(c, i, l, s, b, a, d)
"""


@dataclass(frozen=True, slots=True)
class Touched:
    """A contact whose consent a "no" or its release has changed."""

    list_id: UUID
    contact_id: UUID
    email_key: bytes | None
    mobile_key: bytes | None
    email_consent: str
    sms_consent: str
    version: int


_TOUCHED = ("list_id", "id", "email_key", "mobile_key", "email_consent", "sms_consent", "version")


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
    """Stores feed items of one account; an older number never replaces a newer one."""
    rows = [
        (
            i.channel,
            bytes.fromhex(s),
            i.list_id or NOBODY,
            i.number,
            i.suppression_id,
            i.reason,
            i.released,
            i.recorded_at,
        )
        for i in items
        for s in i.subjects
    ]
    if rows:
        await tx.driver.execute(UPSERT, account_id, *map(list, zip(*rows, strict=True)))


async def standing(
    tx: Transaction, account_id: UUID, list_id: UUID, subjects: Sequence[bytes]
) -> list[tuple[str, bytes]]:
    """The "no"s and tombstones, as (channel, subject), that concern these suppression keys in a list."""
    rows = await tx.driver.fetch(STANDING, account_id, list(subjects), list_id, NOBODY, list(WITHDRAWING))
    return [(row["channel"], bytes(row["subject"])) for row in rows]


async def buried(tx: Transaction, account_id: UUID, subjects: Sequence[bytes]) -> set[tuple[str, bytes]]:
    """The tombstones among these suppression keys, as (channel, subject)."""
    rows = await tx.driver.fetch(BURIED, account_id, list(subjects))
    return {(row["channel"], bytes(row["subject"])) for row in rows}


async def bury(tx: Transaction, account_id: UUID, at: datetime, stones: Sequence[tuple[str, bytes]]) -> None:
    if stones:
        await tx.driver.execute(BURY, account_id, at, *map(list, zip(*stones, strict=True)))


async def withdraw(
    tx: Transaction, account_id: UUID, channel: str, items: Sequence[FeedItem], at: datetime
) -> list[Touched]:
    """Makes every contact that these "no"s meet unsubscribed on the channel."""
    said = [_said(item, bytes.fromhex(subject)) for item in items for subject in item.subjects]
    if not said:
        return []
    columns = map(list, zip(*said, strict=True))
    rows = await tx.driver.fetch(WITHDRAW[channel], account_id, *columns, NOBODY, at, timeout=600)
    return await _told(tx, account_id, at, "withdrawn", items, rows)


async def restore(
    tx: Transaction, account_id: UUID, channel: str, items: Sequence[FeedItem], at: datetime
) -> list[Touched]:
    """Gives contacts of released "no"s the consent back that the last "no" took, where none stands any more."""
    said = [_said(item, bytes.fromhex(subject)) for item in items for subject in item.subjects]
    if not said:
        return []
    columns = map(list, zip(*said, strict=True))
    rows = await tx.driver.fetch(
        RESTORE[channel], account_id, *columns, NOBODY, at, list(WITHDRAWING), timeout=600
    )
    return await _told(tx, account_id, at, "restored", items, rows)


def _said(item: FeedItem, subject: bytes) -> tuple[object, ...]:
    kind, rest = subject[:1], subject[1:]
    return (
        item.suppression_id,
        item.list_id or NOBODY,
        rest if kind == b"a" else None,
        UUID(bytes=rest) if kind == b"c" else None,
        UUID(bytes=rest[:16]) if kind == b"f" else None,
        rest[16:] if kind == b"f" else None,
    )


async def _told(
    tx: Transaction,
    account_id: UUID,
    at: datetime,
    what: str,
    items: Sequence[FeedItem],
    rows: Sequence[object],
) -> list[Touched]:
    found: list[dict[str, object]] = [dict(row) for row in rows]  # type: ignore[call-overload]
    if found:
        doors: dict[object, str] = {item.suppression_id: item.door for item in items}
        await tx.driver.execute(
            HISTORY,
            account_id,
            at,
            what,
            [r["id"] for r in found],
            [new_id() for _ in found],
            [r["list_id"] for r in found],
            [r["suppression_id"] for r in found],
            [r["before"] for r in found],
            [r["after"] for r in found],
            [doors.get(r["suppression_id"]) for r in found],
        )
    return [Touched(*(r[name] for name in _TOUCHED)) for r in found]  # type: ignore[arg-type]
