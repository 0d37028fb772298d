"""contacts.storage.withdrawals: what a "no" of the feed, and its release, do to the consents of contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.internal import FeedItem
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import NOBODY, new_id
from mailmaker.contacts.domain.consent import WITHDRAWING


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
    """Only what was last said of the consent counts, and only a "no" that took it and has been released itself gives it
    back: not one that found it taken already."""
    return f"""
WITH {_hit(key)}
UPDATE contacts c SET {consent} = was.consent, changed_at = $9, version = c.version + 1
  FROM hit h CROSS JOIN LATERAL (
       SELECT y.before ->> '{consent}' AS consent, y.what, y.suppression_id FROM contact_history y
        WHERE y.account_id = $1 AND y.contact_id = h.id AND y.after ? '{consent}'
        ORDER BY y.id DESC LIMIT 1) was
 WHERE c.account_id = $1 AND c.id = h.id AND c.{consent} = 'unsubscribed' AND was.what = 'withdrawn' AND EXISTS (
       SELECT FROM nos n WHERE n.account_id = $1 AND n.suppression_id = was.suppression_id AND n.released
       ) AND NOT EXISTS (
       SELECT FROM nos n WHERE n.account_id = $1 AND n.channel = '{channel}' AND NOT n.released
          AND n.reason = ANY($10::text[]) AND n.list_id IN (c.list_id, $8)
          AND n.subject IN ('\\x61'::bytea || c.{key}, '\\x63'::bytea || uuid_send(c.id),
                            '\\x66'::bytea || uuid_send(c.list_id) || c.fkey_hash)) AND NOT EXISTS (
       SELECT FROM tombstones t WHERE t.account_id = $1 AND t.channel = '{channel}'
          AND t.subject IN ('\\x61'::bytea || c.{key}, '\\x66'::bytea || uuid_send(c.list_id) || c.fkey_hash)) {_RETURNING},
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
    return [
        Touched(
            *(
                r[name]
                for name in (  # type: ignore[arg-type]
                    "list_id",
                    "id",
                    "email_key",
                    "mobile_key",
                    "email_consent",
                    "sms_consent",
                    "version",
                )
            )
        )
        for r in found
    ]
