"""contacts.storage.shown: what an approved plan would write, against what of it somebody has seen (plan_rows)."""

from __future__ import annotations

from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.plans import Plan
from mailmaker.contacts.storage.plan_sql import after_of
from mailmaker.contacts.storage.planning import SLOW

_CONSENTS = "'{email_consent,sms_consent}'::text[]"


def _out(channel: str) -> str:
    return f"coalesce(after ->> '{channel}_consent' = 'unsubscribed', false) AS {channel}_out"


def _back_in(channel: str) -> str:
    """Whether it was shown out on this channel, and would not be left so."""
    return f"bool_or({channel}_out) FILTER (WHERE NOT applied) AND NOT bool_or({channel}_out) FILTER (WHERE applied)"


# A row is known again by the contact that it writes, a new contact by its line: it has another id each time. Both kinds of
# rows are read once and grouped together: a join of theirs takes twice as long, and is planned by what was known before
# they were written.
# A "no" that was said since is no change: it holds whatever is applied, so a consent may come out lower than was shown. Nor
# is a row that writes no field. A removed contact's row tells its version, which any word about it raises.
UNSEEN = f"""
SELECT count(*) FROM (
  SELECT FROM (SELECT applied, CASE WHEN before IS NULL THEN line END AS line,
                      CASE WHEN before IS NOT NULL THEN contact_id END AS contact_id,
                      before - {_CONSENTS} - 'version' AS before, after - {_CONSENTS} AS after,
                      {_out("email")}, {_out("sms")}
                 FROM (SELECT p.applied, p.line, p.contact_id, p.before, {after_of("p")} AS after FROM plan_rows p
                        WHERE p.account_id = $1 AND p.import_id = $2) p
                WHERE (before - {_CONSENTS}) IS DISTINCT FROM (after - {_CONSENTS})) r
   GROUP BY line, contact_id, before, after
  HAVING bool_or(applied) AND (bool_and(applied) OR {_back_in("email")} OR {_back_in("sms")})) u
"""


async def unseen(tx: Transaction, plan: Plan) -> int:
    """How many rows would be written now otherwise than they were shown. Comes after the rows that are to be applied
    are kept."""
    return int(await tx.driver.fetchval(UNSEEN, plan.account_id, plan.import_id, timeout=SLOW))
