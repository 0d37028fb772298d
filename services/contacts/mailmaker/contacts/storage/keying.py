"""contacts.storage.keying: keys and ids of the rows that a plan changes, and which of them meet a "no" (plan_sql)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import NOBODY
from mailmaker.contacts.domain.plans import Plan

SLOW = 1800.0
KEYED_COLUMNS = ("line", "contact_id", "email_key", "mobile_key", "fkey_hash")

TO_KEY = """
SELECT line, contact_id, former, email, mobile, fkey FROM changes
 WHERE rekeyed AND made IS NULL AND line IS NOT NULL ORDER BY line
"""
TAKE_KEYS = """
UPDATE changes c SET made = k.contact_id, email_key = k.email_key, mobile_key = k.mobile_key, fkey_hash = k.fkey_hash
  FROM keyed k WHERE k.line = c.line
"""
# Every suppression key under which somebody may have said "no" for a row with new keys (common.mail.subjects).
_SUBJECTS = """
SELECT line, 'email' AS channel, '\\x61'::bytea || email_key AS subject FROM changes WHERE rekeyed AND email_key IS NOT NULL
UNION ALL
SELECT line, 'sms', '\\x61'::bytea || mobile_key FROM changes WHERE rekeyed AND mobile_key IS NOT NULL
UNION ALL
SELECT line, v.channel, '\\x66'::bytea || uuid_send($2) || fkey_hash
  FROM changes, (VALUES ('email'), ('sms')) v (channel) WHERE rekeyed AND fkey_hash IS NOT NULL
UNION ALL
SELECT line, v.channel, '\\x63'::bytea || uuid_send(former)
  FROM changes, (VALUES ('email'), ('sms')) v (channel) WHERE former IS NOT NULL
"""
_STANDING = """
SELECT channel, subject FROM nos WHERE account_id = $1 AND channel IN ('email', 'sms') AND list_id IN ($2, $3)
   AND NOT released AND reason = ANY($4::text[])
UNION ALL
SELECT channel, subject FROM tombstones WHERE account_id = $1 AND channel IN ('email', 'sms')
"""
ANY_STANDING = f"SELECT EXISTS ({_STANDING})"
MEET = f"""
UPDATE changes c SET met_email = m.email, met_sms = m.sms
  FROM (SELECT s.line, bool_or(n.channel = 'email') AS email, bool_or(n.channel = 'sms') AS sms
          FROM ({_SUBJECTS}) s JOIN ({_STANDING}) n ON n.channel = s.channel AND n.subject = s.subject
         GROUP BY s.line) m
 WHERE c.line = m.line
"""
"""$1 account, $2 list, $3 the whole account's list, $4 reasons that are a person's word."""
# Who was erased since does not come back.
LEAVE_BURIED = """
DELETE FROM changes WHERE former IS NOT NULL AND EXISTS (
       SELECT FROM tombstones t WHERE t.account_id = $1 AND t.channel IN ('email', 'sms') AND t.subject = ANY(ARRAY[
              '\\x61'::bytea || email_key, '\\x61'::bytea || mobile_key, '\\x66'::bytea || uuid_send($2) || fkey_hash,
              '\\x63'::bytea || uuid_send(former)]))
"""


async def to_key(tx: Transaction, chunk: int) -> AsyncIterator[list[Any]]:
    """Rows with a new address or key, in chunks: line, contact, former contact, email, mobile, fkey."""
    cursor = await tx.driver.cursor(TO_KEY)
    while found := await cursor.fetch(chunk):
        yield list(found)


async def keyed(tx: Transaction, records: Sequence[tuple[object, ...]]) -> None:
    await tx.driver.copy_records_to_table("keyed", records=records, columns=list(KEYED_COLUMNS))


async def take_keys(tx: Transaction) -> None:
    """Writes what was keyed beside its rows."""
    for statement in ("ANALYZE keyed", "ANALYZE changes", TAKE_KEYS):
        await tx.driver.execute(statement, timeout=SLOW)


async def leave_buried(tx: Transaction, plan: Plan) -> None:
    await tx.driver.execute(LEAVE_BURIED, plan.account_id, plan.list_id, timeout=SLOW)


async def meet(tx: Transaction, plan: Plan, reasons: Sequence[str]) -> None:
    """Marks the rows with new keys for which somebody has said "no"."""
    args = (plan.account_id, plan.list_id, NOBODY, list(reasons))
    if await tx.driver.fetchval(ANY_STANDING, *args, timeout=SLOW):
        await tx.driver.execute(MEET, *args, timeout=SLOW)
