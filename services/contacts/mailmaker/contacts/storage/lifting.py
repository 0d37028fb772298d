"""contacts.storage.lifting: opt-outs that an import with a stated lawful basis asks to lift, and consents raised after.

`lifting` has a line a contact and channel: an import would leave it unsubscribed for no other reason than opt-outs of its
own list that are older than the file. A plan's row is `lifted` when that is so for every channel that is out.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import NOBODY
from mailmaker.contacts.domain.consent import WITHDRAWING
from mailmaker.contacts.domain.lifting import LIFTABLE
from mailmaker.contacts.domain.plans import Counts, Plan
from mailmaker.contacts.storage.plan_sql import FINAL, after_of
from mailmaker.contacts.storage.planning import SLOW

PREPARE = """
CREATE TEMP TABLE lifting (contact_id uuid, new boolean, channel text, others boolean, suppression_ids uuid[]) ON COMMIT DROP
"""
# $1 account, $2 list, $3 every list, $4 channels, $5 reasons that withdraw, $6 the one that is lifted, $7 not after,
# $8 whether contacts that the list has are written at all.
FIND = f"""
INSERT INTO lifting
SELECT f.contact_id, f.new, v.channel, v.others, array_agg(DISTINCT n.suppression_id)
  FROM ({FINAL}) f
  CROSS JOIN LATERAL (VALUES
       ('email', f.email, f.email_key, f.email_consent, f.sms_consent = 'unsubscribed'),
       ('sms', f.mobile, f.mobile_key, f.sms_consent, f.email_consent = 'unsubscribed'))
       v(channel, address, key, consent, others)
  CROSS JOIN LATERAL unnest(ARRAY['\\x61'::bytea || v.key, '\\x63'::bytea || uuid_send(f.contact_id),
                                  '\\x66'::bytea || uuid_send($2) || f.fkey_hash]) u(subject)
  JOIN nos n ON n.account_id = $1 AND n.channel = v.channel AND n.subject = u.subject AND n.list_id IN ($2, $3)
 WHERE f.line IS NOT NULL AND f.action = 'protected' AND (f.new OR $8)
   AND v.consent = 'unsubscribed' AND v.address IS NOT NULL AND v.channel = ANY($4::text[])
   AND NOT n.released AND n.reason = ANY($5::text[])
   AND NOT EXISTS (SELECT FROM tombstones t WHERE t.account_id = $1 AND t.channel = v.channel
                      AND t.subject = '\\x61'::bytea || v.key)
 GROUP BY f.contact_id, f.new, v.channel, v.others
HAVING bool_and(n.list_id = $2 AND n.reason = $6 AND coalesce(n.recorded_at <= $7, true))
"""
_WHOLE = """
SELECT contact_id, bool_or(new) AS new, array_agg(channel) AS channels FROM lifting
 GROUP BY contact_id HAVING count(*) = 2 OR NOT bool_or(others)
"""
WHOLE = f"SELECT count(*) FILTER (WHERE new) AS created, count(*) FILTER (WHERE NOT new) AS updated FROM ({_WHOLE}) w"


def _consents(word: str) -> str:
    """The consents of a row's lifted channels, all with one word, as JSON."""
    return f"(SELECT jsonb_object_agg(c || '_consent', {word}) FROM unnest(w.channels) c)"


# What a plan that waits would do: the consents that it would leave, where suppression agrees.
SHOWN = f"""
UPDATE plan_rows p SET action = CASE WHEN w.new THEN 'created' ELSE 'updated' END,
       before = CASE WHEN w.new THEN p.before ELSE p.before || {_consents("'unsubscribed'::text")} END,
       after = {after_of("p")} || {_consents("$3::text")}
  FROM ({_WHOLE}) w
 WHERE p.account_id = $1 AND p.import_id = $2 AND NOT p.applied AND p.contact_id = w.contact_id
   AND {after_of("p")} IS NOT NULL
"""
# Whom it would bring back and was not shown to, once the rows that are to be applied are kept.
UNSEEN = f"""
SELECT count(*) FROM ({_WHOLE}) w
  JOIN plan_rows p ON p.account_id = $1 AND p.import_id = $2 AND p.applied AND p.contact_id = w.contact_id
 WHERE NOT EXISTS (SELECT FROM plan_rows s WHERE s.account_id = $1 AND s.import_id = $2 AND NOT s.applied
                      AND s.line = p.line AND {after_of("s")} @> {_consents("$3::text")})
"""
KEEP = """
INSERT INTO lifts (account_id, import_id, contact_id, channel) SELECT $1, $2, contact_id, channel FROM lifting
"""
ASKED = "SELECT DISTINCT unnest(suppression_ids) AS id FROM lifting"
PEOPLE = "SELECT count(DISTINCT contact_id) FROM lifting"


def _raise(channel: str, consent: str, key: str) -> str:
    subjects = f"""('\\x61'::bytea || c.{key}, '\\x63'::bytea || uuid_send(c.id),
                    '\\x66'::bytea || uuid_send(c.list_id) || c.fkey_hash)"""
    return f"""
UPDATE contacts c SET {consent} = $3, changed_at = $4, version = c.version + 1
  FROM lifts l
 WHERE l.account_id = $1 AND l.import_id = $2 AND l.channel = '{channel}' AND c.account_id = $1 AND c.id = l.contact_id
   AND c.{consent} = 'unsubscribed' AND NOT EXISTS (
       SELECT FROM nos n WHERE n.account_id = $1 AND n.channel = '{channel}' AND NOT n.released
          AND n.reason = ANY($5::text[]) AND n.list_id IN (c.list_id, $6) AND n.subject IN {subjects}
       UNION ALL
       SELECT FROM tombstones t WHERE t.account_id = $1 AND t.channel = '{channel}' AND t.subject IN {subjects})
RETURNING c.id
"""


RAISE = (_raise("email", "email_consent", "email_key"), _raise("sms", "sms_consent", "mobile_key"))
_NOW = "CASE l.channel WHEN 'email' THEN c.email_consent ELSE c.sms_consent END"
LIFTED = f"""
UPDATE lifts l SET lifted = c.id IS NOT NULL AND {_NOW} <> 'unsubscribed'
  FROM lifts o LEFT JOIN contacts c ON c.account_id = $1 AND c.id = o.contact_id
 WHERE l.account_id = $1 AND l.import_id = $2 AND o.account_id = $1 AND o.import_id = $2
   AND o.contact_id = l.contact_id AND o.channel = l.channel
"""
HISTORY = f"""
INSERT INTO contact_history (account_id, contact_id, id, list_id, at, what, by, before, after, door)
SELECT $1, c.id, gen_random_uuid(), c.list_id, $3, 'opt_out_lifted', 'import:' || ($2::uuid)::text,
       jsonb_object_agg(l.channel || '_consent', 'unsubscribed'::text),
       jsonb_object_agg(l.channel || '_consent', {_NOW}) || $4::jsonb, 'file'
  FROM lifts l JOIN contacts c ON c.account_id = $1 AND c.id = l.contact_id
 WHERE l.account_id = $1 AND l.import_id = $2 AND l.lifted GROUP BY c.id, c.list_id
"""
# The plan says what was done: who is in again is no protected row any more.
SETTLED = f"""
WITH done AS (
  SELECT l.contact_id, jsonb_object_agg(l.channel || '_consent', {_NOW}) AS after,
         'unsubscribed' NOT IN (min(c.email_consent), min(c.sms_consent)) AS whole
    FROM lifts l JOIN contacts c ON c.account_id = $1 AND c.id = l.contact_id
   WHERE l.account_id = $1 AND l.import_id = $2 AND l.lifted GROUP BY l.contact_id
), told AS (
  UPDATE plan_rows p
     SET before = p.before || (SELECT jsonb_object_agg(k, 'unsubscribed'::text) FROM jsonb_object_keys(d.after) k),
         after = {after_of("p")} || d.after,
         action = CASE WHEN NOT d.whole THEN p.action WHEN p.before IS NULL THEN 'created' ELSE 'updated' END
    FROM done d
   WHERE p.account_id = $1 AND p.import_id = $2 AND p.applied AND p.contact_id = d.contact_id AND {after_of("p")} IS NOT NULL
  RETURNING d.whole, p.before IS NULL AS new
)
SELECT count(*) FILTER (WHERE whole AND new) AS created, count(*) FILTER (WHERE whole AND NOT new) AS updated FROM told
"""
RECOUNT = "UPDATE plans SET applied = $3::jsonb WHERE account_id = $1 AND import_id = $2"
CHANGED = """
SELECT id, email_key, mobile_key, email_consent, sms_consent, version FROM contacts
 WHERE account_id = $1 AND id = ANY($2::uuid[])
"""
MANY = "SELECT count(DISTINCT contact_id) FROM lifts WHERE account_id = $1 AND import_id = $2 AND lifted"


BACK = """
SELECT c.id, l.channel, CASE l.channel WHEN 'email' THEN c.email_key ELSE c.mobile_key END AS address, c.fkey
  FROM lifts l JOIN contacts c ON c.account_id = $1 AND c.id = l.contact_id
 WHERE l.account_id = $1 AND l.import_id = $2 AND l.lifted ORDER BY c.id, l.channel
"""


async def find(tx: Transaction, plan: Plan, channels: Sequence[str], not_after: datetime) -> tuple[int, int]:
    """Finds what may be lifted. Returns how many rows that are protected would be created, and how many updated."""
    await tx.driver.execute(PREPARE)
    reasons = list(WITHDRAWING)
    about = (plan.account_id, plan.list_id, NOBODY, list(channels), reasons, LIFTABLE, not_after)
    await tx.driver.execute(FIND, *about, plan.options.mode != "add", timeout=SLOW)
    found = await tx.driver.fetchrow(WHOLE)
    return found["created"], found["updated"]


async def show(tx: Transaction, plan: Plan) -> None:
    """Rows of a plan that waits say what they would do. Comes after its rows are kept."""
    about = (plan.account_id, plan.import_id, str(plan.options.consent))
    await tx.driver.execute(SHOWN, *about, timeout=SLOW)


async def unseen(tx: Transaction, plan: Plan) -> int:
    """How many people a plan would bring back that it was not shown to."""
    about = (plan.account_id, plan.import_id, str(plan.options.consent))
    return int(await tx.driver.fetchval(UNSEEN, *about, timeout=SLOW))


async def keep(tx: Transaction, plan: Plan) -> tuple[list[UUID], int]:
    """Keeps whose opt-outs are to be lifted. Returns the opt-outs, and how many people that is about."""
    await tx.driver.execute(KEEP, plan.account_id, plan.import_id, timeout=SLOW)
    asked = [row["id"] for row in await tx.driver.fetch(ASKED)]
    return sorted(asked), int(await tx.driver.fetchval(PEOPLE))


async def raise_consents(tx: Transaction, plan: Plan, at: datetime) -> list[UUID]:
    """Raises the consents that no "no" keeps down any more, and notes what became of each. Returns whom it wrote."""
    raised: set[UUID] = set()
    about = (plan.account_id, plan.import_id)
    for statement in RAISE:
        args = (*about, str(plan.options.consent), at, list(WITHDRAWING), NOBODY)
        raised.update(row["id"] for row in await tx.driver.fetch(statement, *args, timeout=SLOW))
    await tx.driver.execute(LIFTED, *about, timeout=SLOW)
    return sorted(raised)


async def settle(tx: Transaction, plan: Plan, at: datetime, evidence: str) -> tuple[int, int]:
    """Writes histories and the plan's rows. Returns how many rows are created, and updated, that were protected."""
    about = (plan.account_id, plan.import_id)
    await tx.driver.execute(HISTORY, *about, at, evidence, timeout=SLOW)
    found = await tx.driver.fetchrow(SETTLED, *about, timeout=SLOW)
    return found["created"], found["updated"]


async def recount(tx: Transaction, plan: Plan, counts: Counts) -> None:
    """Keeps what has been done until now as what was applied."""
    await tx.driver.execute(RECOUNT, plan.account_id, plan.import_id, json.dumps(counts.named()))


async def people(tx: Transaction, account_id: UUID, import_id: UUID) -> int:
    """How many people an import has brought back."""
    return int(await tx.driver.fetchval(MANY, account_id, import_id))


async def brought_back(tx: Transaction, plan: Plan, chunk: int) -> AsyncIterator[list[Any]]:
    """Those whom the import has brought back and the list still has, in chunks."""
    cursor = await tx.driver.cursor(BACK, plan.account_id, plan.import_id)
    while found := await cursor.fetch(chunk):
        yield list(found)


async def contacts(tx: Transaction, account_id: UUID, ids: Sequence[UUID]) -> list[Any]:
    """Contacts as other houses hear of them."""
    return list(await tx.driver.fetch(CHANGED, account_id, list(ids)))
