"""contacts.storage.plans: imports as this house keeps them."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.plans import Basis, Counts, Limits, Options, Plan
from mailmaker.contacts.storage.plan_sql import after_of

COLUMNS = """
account_id, import_id, list_id, options::text AS options, more_options::text AS more_options, state,
counts::text AS counts, applied::text AS applied
"""
INSERT = """
INSERT INTO plans (account_id, import_id, list_id, options, state, due_at, staged_at, more_options)
VALUES ($1, $2, $3, $4::jsonb, 'staged', clock_timestamp(), clock_timestamp(), $5::jsonb) ON CONFLICT DO NOTHING
"""
# Imports of one list go in the order in which they were staged.
# Of a closed account only opt-outs go on: the others, which wait for its reopening or its end, hold none of them up.
_GOES_ON = "(a.state IS DISTINCT FROM 'closed' OR {0}.options->>'mode' = 'opt_out')"
DUE = f"""
SELECT p.account_id, p.import_id, p.state = 'undoing' AS undoing
  FROM plans p LEFT JOIN accounts a ON a.account_id = p.account_id
 WHERE p.due_at <= clock_timestamp() AND {_GOES_ON.format("p")} AND NOT EXISTS (
       SELECT FROM plans e WHERE e.account_id = p.account_id AND e.list_id = p.list_id
          AND (e.due_at IS NOT NULL OR e.recording_at IS NOT NULL) AND e.staged_at < p.staged_at
          AND {_GOES_ON.format("e")})
 ORDER BY p.due_at LIMIT 20
"""
TAKE = f"SELECT {COLUMNS} FROM plans WHERE account_id = $1 AND import_id = $2 AND due_at IS NOT NULL FOR UPDATE SKIP LOCKED"
ONE = f"""
SELECT {COLUMNS}, error_code, error_detail, staged_at, planned_at, applied_at, undone::text AS undone, undone_at
  FROM plans WHERE account_id = $1 AND import_id = $2
"""
SETTLE = """
UPDATE plans SET state = $3, due_at = NULL, error_code = $6, error_detail = $7,
       counts = CASE WHEN $3 = 'quarantined' THEN $4::jsonb ELSE coalesce(counts, $4::jsonb) END,
       planned_at = coalesce(planned_at, $5), applied = CASE WHEN $3 = 'applied' THEN $4::jsonb END,
       applied_at = CASE WHEN $3 = 'applied' THEN $5 END
 WHERE account_id = $1 AND import_id = $2
"""
AGAIN = """
UPDATE plans SET attempts = attempts + $4, due_at = clock_timestamp() + make_interval(secs => $3)
 WHERE account_id = $1 AND import_id = $2 AND due_at IS NOT NULL RETURNING attempts
"""
APPROVE = """
UPDATE plans SET state = 'approved', due_at = clock_timestamp()
 WHERE account_id = $1 AND import_id = $2 AND state IN ('planned', 'quarantined')
"""
CANCEL = """
UPDATE plans SET state = 'cancelled', due_at = NULL
 WHERE account_id = $1 AND import_id = $2 AND state IN ('staged', 'planned', 'approved', 'quarantined')
"""
ROWS = f"""
SELECT r.action, r.contact_id, r.line, r.before::text AS before, ({after_of("r")})::text AS after, r.undone FROM plan_rows r
  JOIN plans p ON p.account_id = r.account_id AND p.import_id = r.import_id
 WHERE r.account_id = $1 AND r.import_id = $2 AND r.applied = (p.applied_at IS NOT NULL)
   AND ($3::text IS NULL OR r.action = $3) AND (r.action, r.contact_id) > ($4, $5) ORDER BY r.action, r.contact_id LIMIT $6
"""


_MORE = ("key_column", "profile_id", "by_line")
_MORE_LIMITS = ("of_contacts", "key_changed")
"""What the previous release does not know stands apart: it reads `options` whole, and would stumble."""


def options_texts(options: Options) -> tuple[str, str]:
    """The options as they are kept, in two columns."""
    found = asdict(options)
    more = {name: found.pop(name) for name in _MORE}
    if not more["by_line"]:
        del more["by_line"]
    more["limits"] = {name: found["limits"].pop(name) for name in _MORE_LIMITS}
    return json.dumps(found, default=str), json.dumps(more, default=str)


def _options(text: str, more_text: str) -> Options:
    found, more = json.loads(text), json.loads(more_text)
    limits = Limits(**found.pop("limits", {}), **more.pop("limits", {}))
    profile_id = more.get("profile_id")
    found |= more | {"limits": limits, "profile_id": None if profile_id is None else UUID(profile_id)}
    found["fields"], found["consent"] = tuple(found["fields"]), Consent(found["consent"])
    found["findings"] = tuple((code, detail) for code, detail in found.get("findings", ()))
    at, by = found.get("received_at"), found.get("sent_by")
    found["received_at"] = None if at is None else datetime.fromisoformat(at)
    found["sent_by"] = None if by is None else UUID(by)
    found["basis"] = _basis(found.get("basis"))
    return Options(**found)


def _basis(found: dict[str, str | None] | None) -> Basis | None:
    if found is None:
        return None
    at = found["consented_at"]
    return Basis(found["text"] or "", None if at is None else datetime.fromisoformat(at))


def _counts(text: str | None) -> Counts | None:
    return None if text is None else Counts(**json.loads(text))


def plan_of(row: Any) -> Plan:
    return Plan(
        row["account_id"],
        row["import_id"],
        row["list_id"],
        _options(row["options"], row["more_options"]),
        row["state"],
        _counts(row["counts"]),
        _counts(row["applied"]),
    )


async def insert(tx: Transaction, plan: Plan) -> None:
    about = (plan.account_id, plan.import_id, plan.list_id)
    await tx.driver.execute(INSERT, *about, *options_texts(plan.options))


async def due(tx: Transaction) -> list[tuple[UUID, UUID, bool]]:
    """Imports that wait for work, oldest first, as (account, import, whether it is to be undone)."""
    return [(row["account_id"], row["import_id"], row["undoing"]) for row in await tx.driver.fetch(DUE)]


async def take(tx: Transaction, account_id: UUID, import_id: UUID) -> Plan | None:
    """An import that waits, held until the commit; None when another process has it, or it waits no more."""
    row = await tx.driver.fetchrow(TAKE, account_id, import_id)
    return None if row is None else plan_of(row)


async def one(tx: Transaction, account_id: UUID, import_id: UUID) -> tuple[Plan, dict[str, Any]] | None:
    """A plan and its times and error."""
    row = await tx.driver.fetchrow(ONE, account_id, import_id)
    return None if row is None else (plan_of(row), dict(row))


async def settle(
    tx: Transaction,
    plan: Plan,
    state: str,
    counts: Counts | None,
    at: datetime,
    error: tuple[str, str] | None = None,
) -> None:
    """Writes what became of an import. The counts first planned stay as they were shown, unless it waits anew."""
    text = None if counts is None else json.dumps(counts.named())
    await tx.driver.execute(
        SETTLE, plan.account_id, plan.import_id, state, text, at, *(error or (None, None))
    )


async def again(
    tx: Transaction, account_id: UUID, import_id: UUID, seconds: float, *, counted: bool
) -> int | None:
    """Puts an import off. Returns how many failures are counted against it, or None where it waits no more."""
    found = await tx.driver.fetchval(AGAIN, account_id, import_id, seconds, int(counted))
    return None if found is None else int(found)


async def approve(tx: Transaction, account_id: UUID, import_id: UUID) -> bool:
    return str(await tx.driver.execute(APPROVE, account_id, import_id)).endswith("1")


async def cancel(tx: Transaction, account_id: UUID, import_id: UUID) -> bool:
    return str(await tx.driver.execute(CANCEL, account_id, import_id)).endswith("1")


async def rows(
    tx: Transaction,
    account_id: UUID,
    import_id: UUID,
    action: str | None,
    after: tuple[str, UUID],
    limit: int,
) -> list[dict[str, Any]]:
    found = await tx.driver.fetch(ROWS, account_id, import_id, action, *after, limit)
    return [
        {**r, "before": json.loads(r["before"] or "{}"), "after": json.loads(r["after"] or "{}")}
        for r in found
    ]
