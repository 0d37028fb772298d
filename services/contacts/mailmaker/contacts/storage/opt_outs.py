"""contacts.storage.opt_outs: an opt-out file against this house's contacts and its copy of every "no", set-based.

`said` has a line a "no" of the file, `hits` the contacts that each names. Nothing here writes a contact: consents are
lowered when the "no" comes back on suppression's feed, as for every other door.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.common.storage.bulk import copy_in
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import NOBODY
from mailmaker.contacts.domain.consent import WITHDRAWING
from mailmaker.contacts.domain.opt_outs import Said
from mailmaker.contacts.domain.plans import Plan
from mailmaker.contacts.storage import plan_sql
from mailmaker.contacts.storage.planning import FORGET_ROWS, SLOW
from mailmaker.contacts.storage.plans import COLUMNS, plan_of

LANE = "suppression.files"
"""Hand-overs of files have a lane of their own: nobody's "no" at another door waits behind a hundred thousand rows."""
PREPARE = (
    *plan_sql.PREPARE,
    "SET LOCAL enable_nestloop = on",
    "CREATE TEMP TABLE said (line int, channel text, address bytea, fkey text, fkey_hash bytea) ON COMMIT DROP",
    "CREATE TEMP TABLE hits (line int, channel text, contact_id uuid, gone boolean) ON COMMIT DROP",
)
ROWS = "SELECT line, email, mobile, fkey FROM staged ORDER BY line"
SAID = "SELECT line, channel, address, fkey, fkey_hash FROM said ORDER BY line, channel"
_OUT = "CASE s.channel WHEN 'email' THEN c.email_consent ELSE c.sms_consent END = 'unsubscribed'"
# $1 account, $2 the list, $3 whether the "no"s hold in every list.
HITS = f"""
INSERT INTO hits
SELECT s.line, s.channel, c.id, {_OUT} FROM said s JOIN contacts c ON c.account_id = $1 AND c.email_key = s.address
 WHERE s.channel = 'email' AND (c.list_id = $2 OR $3)
UNION
SELECT s.line, s.channel, c.id, {_OUT} FROM said s JOIN contacts c ON c.account_id = $1 AND c.mobile_key = s.address
 WHERE s.channel = 'sms' AND (c.list_id = $2 OR $3)
UNION
SELECT s.line, s.channel, c.id, {_OUT}
  FROM said s JOIN contacts c ON c.account_id = $1 AND c.list_id = $2 AND c.fkey_hash = s.fkey_hash
"""
_SUBJECTS = "('\\x61'::bytea || s.address, '\\x66'::bytea || uuid_send($2) || s.fkey_hash)"
# A "no" stood before when the ledger has it for one of the row's keys, or when everybody it names in the list is out.
COUNTS = f"""
SELECT count(*) AS many, count(*) FILTER (WHERE newly) AS newly FROM (
  SELECT s.line, bool_or(NOT coalesce(h.gone AND NOT $3, false) AND NOT EXISTS (
           SELECT FROM nos n WHERE n.account_id = $1 AND n.channel = s.channel AND NOT n.released
              AND n.reason = ANY($4::text[]) AND n.list_id = ANY($5::uuid[]) AND n.subject IN {_SUBJECTS}
           UNION ALL
           SELECT FROM tombstones t WHERE t.account_id = $1 AND t.channel = s.channel AND t.subject IN {_SUBJECTS}
         )) AS newly
    FROM said s LEFT JOIN (SELECT line, channel, bool_and(gone) AS gone FROM hits GROUP BY line, channel) h
         ON h.line = s.line AND h.channel = s.channel
   GROUP BY s.line) rows
"""


def _consents(email: str, sms: str) -> str:
    """What of a contact's consents the hits are about, as JSON."""
    said = "CASE WHEN bool_or(h.channel = '{}') THEN {} END"
    return f"""jsonb_strip_nulls(jsonb_build_object('email_consent', {said.format("email", email)},
                                                    'sms_consent', {said.format("sms", sms)}))"""


KEEP = f"""
INSERT INTO plan_rows (account_id, import_id, action, contact_id, line, before, after, applied)
SELECT $1, $2, 'updated', c.id, min(h.line), {_consents("c.email_consent", "c.sms_consent")},
       {_consents("'unsubscribed'", "'unsubscribed'")}, $3
  FROM hits h JOIN contacts c ON c.account_id = $1 AND c.id = h.contact_id
 WHERE NOT h.gone GROUP BY c.id, c.email_consent, c.sms_consent
"""
AWAIT = "UPDATE plans SET recording_at = clock_timestamp() WHERE account_id = $1 AND import_id = $2"
RECORDING = (
    "SELECT account_id, import_id FROM plans WHERE recording_at IS NOT NULL ORDER BY recording_at LIMIT 20"
)
UNANSWERED = """
SELECT EXISTS (SELECT FROM handovers
                WHERE account_id = $1 AND target = $2 AND body -> 'evidence' ->> 'import' = $3::text)
"""
RECORDED = f"""
UPDATE plans SET recording_at = NULL WHERE account_id = $1 AND import_id = $2 AND recording_at IS NOT NULL
RETURNING {COLUMNS}, applied_at
"""


async def receive(tx: Transaction, source: AsyncIterator[bytes]) -> int:
    """Copies the staged rows into a temporary table. Returns how many."""
    for statement in PREPARE:
        await tx.driver.execute(statement)
    return await copy_in(tx.driver, "staged", plan_sql.STAGED_COLUMNS, source)


async def rows(tx: Transaction, chunk: int) -> AsyncIterator[list[Any]]:
    """Whom each row names, in chunks."""
    cursor = await tx.driver.cursor(ROWS)
    while found := await cursor.fetch(chunk):
        yield list(found)


async def add(tx: Transaction, said: Sequence[Said]) -> None:
    await tx.driver.copy_records_to_table("said", records=[astuple(one) for one in said])


async def judge(tx: Transaction, plan: Plan) -> tuple[int, int]:
    """Finds the contacts that are named. Returns how many rows say something new, and how many nothing new."""
    everywhere = plan.options.scope == "account"
    about = (plan.account_id, plan.list_id, everywhere)
    await tx.driver.execute("ANALYZE said")
    await tx.driver.execute(HITS, *about, timeout=SLOW)
    await tx.driver.execute("ANALYZE hits")
    lists = [NOBODY] if everywhere else [plan.list_id, NOBODY]
    found = await tx.driver.fetchrow(COUNTS, *about, list(WITHDRAWING), lists, timeout=SLOW)
    return found["newly"], found["many"] - found["newly"]


async def keep_rows(tx: Transaction, plan: Plan, *, applied: bool) -> None:
    """Stores which contacts go out, with their consents before and after."""
    if not applied:
        await tx.driver.execute(FORGET_ROWS, plan.account_id, plan.import_id, timeout=SLOW)
    await tx.driver.execute(KEEP, plan.account_id, plan.import_id, applied, timeout=SLOW)


async def said(tx: Transaction, chunk: int) -> AsyncIterator[list[Said]]:
    """Every "no" of the file, in its order, in chunks."""
    cursor = await tx.driver.cursor(SAID)
    while found := await cursor.fetch(chunk):
        yield [Said(*row) for row in found]


async def await_answers(tx: Transaction, plan: Plan) -> None:
    """The import is over when what it has handed over is answered; later ones of the list wait for that."""
    await tx.driver.execute(AWAIT, plan.account_id, plan.import_id)


async def recording(tx: Transaction) -> list[tuple[UUID, UUID]]:
    """Imports that wait for answers, as (account, import). In a platform transaction."""
    return [(row["account_id"], row["import_id"]) for row in await tx.driver.fetch(RECORDING)]


async def unanswered(tx: Transaction, account_id: UUID, import_id: UUID) -> bool:
    """Whether something that the import handed over has not been answered."""
    return bool(await tx.driver.fetchval(UNANSWERED, account_id, LANE, str(import_id)))


async def recorded(tx: Transaction, account_id: UUID, import_id: UUID) -> tuple[Plan, datetime] | None:
    """The import, over, with when it was applied; None when another process was faster."""
    row = await tx.driver.fetchrow(RECORDED, account_id, import_id)
    return None if row is None else (plan_of(row), row["applied_at"])
