"""contacts.storage.plans: imports as this house keeps them, and the steps of planning and applying one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.common.storage.bulk import copy_in
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.plans import Action, Counts, Known, Limits, Options, Plan, Unmatched
from mailmaker.contacts.storage import plan_sql

SLOW = 1800.0
LOOKED_UP = 50_000
"""Up to so many contacts are looked up by id; for more, the list is read once."""

COLUMNS = "account_id, import_id, list_id, options::text AS options, state, counts::text AS counts, applied::text AS applied"
INSERT = """
INSERT INTO plans (account_id, import_id, list_id, options, state, due_at, staged_at)
VALUES ($1, $2, $3, $4::jsonb, 'staged', clock_timestamp(), clock_timestamp()) ON CONFLICT DO NOTHING
"""
# Imports of one list go in the order in which they were staged.
DUE = """
SELECT p.account_id, p.import_id, p.state = 'undoing' AS undoing FROM plans p
 WHERE p.due_at <= clock_timestamp() AND NOT EXISTS (
       SELECT FROM plans e WHERE e.account_id = p.account_id AND e.list_id = p.list_id AND e.due_at IS NOT NULL
          AND e.staged_at < p.staged_at)
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
ROWS = """
SELECT r.action, r.contact_id, r.line, r.before::text AS before, r.after::text AS after, r.undone FROM plan_rows r
  JOIN plans p ON p.account_id = r.account_id AND p.import_id = r.import_id
 WHERE r.account_id = $1 AND r.import_id = $2 AND r.applied = (p.applied_at IS NOT NULL)
   AND ($3::text IS NULL OR r.action = $3) AND (r.action, r.contact_id) > ($4, $5) ORDER BY r.action, r.contact_id LIMIT $6
"""
FORGET_SHOWN = "DELETE FROM plan_rows WHERE account_id = $1 AND import_id = $2 AND NOT applied"
IN_LIST = "SELECT count(*) FROM contacts WHERE account_id = $1 AND list_id = $2"
LAST_ROWS = """
SELECT (applied ->> 'rows')::bigint FROM plans WHERE account_id = $1 AND list_id = $2 AND state = 'applied'
 ORDER BY applied_at DESC LIMIT 1
"""


def options_text(options: Options) -> str:
    return json.dumps(asdict(options))


def _options(text: str) -> Options:
    found = json.loads(text)
    found["fields"], found["consent"] = tuple(found["fields"]), Consent(found["consent"])
    found["limits"] = Limits(**found.get("limits", {}))
    found["findings"] = tuple((code, detail) for code, detail in found.get("findings", ()))
    return Options(**found)


def _counts(text: str | None) -> Counts | None:
    return None if text is None else Counts(**json.loads(text))


def plan_of(row: Any) -> Plan:
    return Plan(
        row["account_id"],
        row["import_id"],
        row["list_id"],
        _options(row["options"]),
        row["state"],
        _counts(row["counts"]),
        _counts(row["applied"]),
    )


async def insert(tx: Transaction, plan: Plan) -> None:
    await tx.driver.execute(INSERT, plan.account_id, plan.import_id, plan.list_id, options_text(plan.options))


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


async def receive_outline(tx: Transaction, source: AsyncIterator[bytes]) -> int:
    """Copies a staged file's outline into a temporary table. Returns its entries."""
    for statement in plan_sql.PREPARE:
        await tx.driver.execute(statement)
    return await copy_in(tx.driver, "outline", plan_sql.OUTLINE_COLUMNS, source)


async def match(tx: Transaction, plan: Plan) -> Unmatched:
    """Finds the rows that the list does not hold as they are."""
    await tx.driver.execute(
        plan_sql.UNMATCHED[plan.options.mode], plan.account_id, plan.list_id, timeout=SLOW
    )
    found = await tx.driver.fetchrow(plan_sql.FOUND, timeout=SLOW)
    return Unmatched(found["rows"], found["known"], placed=found["placed"] == found["rows"])


async def places(tx: Transaction) -> list[int]:
    """Where in the staged file the unmatched rows begin, in order."""
    return [row["at"] for row in await tx.driver.fetch(plan_sql.PLACES, timeout=SLOW)]


async def receive_rows(tx: Transaction, source: AsyncIterator[bytes]) -> int:
    """Copies staged rows into a temporary table. Returns how many."""
    return await copy_in(tx.driver, "staged", plan_sql.STAGED_COLUMNS, source)


async def compare(tx: Transaction, plan: Plan, unmatched: Unmatched) -> None:
    """Finds what differs among the unmatched rows, and which contacts a full file does not name."""
    if unmatched.rows:
        if unmatched.known <= LOOKED_UP:
            for statement in plan_sql.FEW:
                await tx.driver.execute(statement)
        args: list[object] = [plan.account_id]
        if erased := plan_sql.erased_custom(plan.options):
            args.append(erased)
        difference = plan_sql.difference(plan.options, known=unmatched.known > 0)
        await tx.driver.execute(difference, *args, timeout=SLOW)
    if plan.options.mode == "full":
        await tx.driver.execute(plan_sql.REMOVE, timeout=SLOW)


async def to_key(tx: Transaction, chunk: int) -> AsyncIterator[list[dict[str, Any]]]:
    """Rows with a new address or key, in chunks."""
    cursor = await tx.driver.cursor(plan_sql.TO_KEY)
    while found := await cursor.fetch(chunk):
        yield [dict(row) for row in found]


async def keyed(tx: Transaction, records: Sequence[tuple[object, ...]]) -> None:
    await tx.driver.copy_records_to_table("keyed", records=records, columns=list(plan_sql.KEYED_COLUMNS))


async def counts(tx: Transaction) -> dict[str, int]:
    """How many of each action, once everything is keyed."""
    for statement in plan_sql.ANALYZE:
        await tx.driver.execute(statement)
    found = {row["action"]: row["many"] for row in await tx.driver.fetch(plan_sql.COUNTS, timeout=SLOW)}
    return {str(action): found.get(action, 0) for action in Action}


async def known(tx: Transaction, plan: Plan) -> Known:
    """What of the list the guards of this plan look at."""
    options, about = plan.options, (plan.account_id, plan.list_id)
    contacts = await tx.driver.fetchval(IN_LIST, *about, timeout=SLOW) if options.mode == "full" else 0
    last = await tx.driver.fetchval(LAST_ROWS, *about) if options.limits.dropped is not None else None
    return Known(int(contacts), last)


async def keep_rows(tx: Transaction, plan: Plan, *, applied: bool) -> None:
    """Stores what is not unchanged, before and after. Comes before `write`: it reads the contacts as they were. A plan
    that is shown anew replaces what was shown before."""
    if not applied:
        await tx.driver.execute(FORGET_SHOWN, plan.account_id, plan.import_id, timeout=SLOW)
    await tx.driver.execute(
        plan_sql.plan_rows(plan.options), plan.account_id, plan.import_id, applied, timeout=SLOW
    )


async def write(tx: Transaction, plan: Plan, at: datetime, *, removes: bool) -> None:
    """Makes the list what the plan says. An unchanged row is not written."""
    if removes:
        await tx.driver.execute(plan_sql.DELETE_REMOVED, plan.account_id, timeout=SLOW)
    await tx.driver.execute(plan_sql.UPDATE_CHANGED, plan.account_id, at, timeout=SLOW)
    await tx.driver.execute(plan_sql.INSERT_NEW, plan.account_id, plan.list_id, at, timeout=SLOW)


async def written(tx: Transaction, plan: Plan, at: datetime, chunk: int) -> AsyncIterator[list[Any]]:
    """Contacts that `write` created or changed, in chunks."""
    cursor = await tx.driver.cursor(plan_sql.WRITTEN, plan.account_id, at)
    while found := await cursor.fetch(chunk):
        yield list(found)


async def removed(tx: Transaction, chunk: int) -> AsyncIterator[list[UUID]]:
    cursor = await tx.driver.cursor(plan_sql.REMOVED)
    while found := await cursor.fetch(chunk):
        yield [row["id"] for row in found]
