"""contacts.storage.planning: the steps of planning and applying one import, in temporary tables (plan_sql)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.bulk import copy_in
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.guards import Known
from mailmaker.contacts.domain.plans import Action, Plan, Unmatched
from mailmaker.contacts.storage import plan_sql, told_sql

SLOW = 1800.0
SIGNATURE = b"PGCOPY\n"
"""How COPY's binary form begins."""
LOOKED_UP = 50_000
ALWAYS_LOOKED_UP = 1_000
"""Up to so many contacts are looked up by id, the more if they are not a large part of the list; for more, the list is
read once. Of a list that was loaded a moment ago the planner knows nothing: it would read it once a contact."""

# Before a plan is shown it has no other rows that stay: those of an approved one that was not applied after all go too.
FORGET_ROWS = "DELETE FROM plan_rows WHERE account_id = $1 AND import_id = $2"
IN_LIST = "SELECT count(*) FROM contacts WHERE account_id = $1 AND list_id = $2"
# Counts no further than is asked: to count a whole list takes as long as to read it.
AT_LEAST = (
    "SELECT count(*) = $3 FROM (SELECT FROM contacts WHERE account_id = $1 AND list_id = $2 LIMIT $3) f"
)
LOOPS = "SELECT current_setting('enable_nestloop')"
SET_LOOPS = "SELECT set_config('enable_nestloop', $1, true)"
# Of one mode, and of one profile where both have one: `IS NOT FALSE` lets a missing one through.
LAST = """
SELECT (applied ->> 'rows')::bigint AS rows, more_options ->> 'key_column' AS key_column FROM plans
 WHERE account_id = $1 AND list_id = $2 AND applied_at IS NOT NULL AND state = 'applied' AND options ->> 'mode' = $3
   AND (more_options ->> 'profile_id' = $4) IS NOT FALSE
 ORDER BY applied_at DESC LIMIT 1
"""


async def prepare(tx: Transaction, plan: Plan) -> None:
    """Makes the temporary tables."""
    for statement in plan_sql.PREPARE:
        await tx.driver.execute(statement)
    await tx.driver.execute(plan_sql.BORN, str(plan.options.consent))


async def receive_outline(tx: Transaction, source: AsyncIterator[bytes]) -> int:
    """Copies a staged file's outline into a temporary table. Returns its entries."""
    first = b""
    async for chunk in source:
        first += chunk
        if len(first) >= len(SIGNATURE):
            break
    if first.startswith(SIGNATURE):
        return await copy_in(
            tx.driver, "outline", plan_sql.OUTLINE_COLUMNS, _with(first, source), form="binary"
        )
    # What an earlier release of ingest has staged.
    return await copy_in(tx.driver, "outline", plan_sql.OUTLINE_IN_CSV, _with(first, source))


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


async def match(tx: Transaction, plan: Plan) -> Unmatched:
    """Finds the rows that the list does not hold as they are."""
    about = (plan.account_id, plan.list_id)
    if plan.options.mode == "full":
        await tx.driver.execute(plan_sql.UNMATCHED_EITHER, *about, timeout=SLOW)
    else:
        odd = int((await tx.driver.execute(plan_sql.ODD, *about, timeout=SLOW)).rpartition(" ")[2])
        if few_odd := await few(tx, plan, odd):
            for statement in plan_sql.FEW_ODD:
                await tx.driver.execute(statement)
        return await looked_up(tx, plan, few=few_odd)
    return await found(tx, few=False)


async def looked_up(tx: Transaction, plan: Plan, *, few: bool) -> Unmatched:
    """Finds whom the odd rows name."""
    statement = plan_sql.UNMATCHED_FEW if few else plan_sql.UNMATCHED
    await tx.driver.execute(statement, plan.account_id, plan.list_id, timeout=SLOW)
    return await found(tx, few=few)


async def found(tx: Transaction, *, few: bool) -> Unmatched:
    """How many rows are unmatched."""
    row = await tx.driver.fetchrow(plan_sql.FOUND, timeout=SLOW)
    return Unmatched(row["rows"], row["known"], row["placed"] == row["rows"], few)


async def places(tx: Transaction) -> list[int]:
    """Where in the staged file the unmatched rows begin, in order."""
    return [row["at"] for row in await tx.driver.fetch(plan_sql.PLACES, timeout=SLOW)]


async def receive_rows(tx: Transaction, source: AsyncIterator[bytes]) -> int:
    """Copies staged rows into a temporary table. Returns how many."""
    return await copy_in(tx.driver, "staged", plan_sql.STAGED_COLUMNS, source)


async def receive_made(tx: Transaction, source: AsyncIterator[bytes]) -> int:
    """Copies staged rows of nobody whom the list has, with their ids and keys, to where changes stand. Returns how many."""
    return await copy_in(tx.driver, "changes", plan_sql.MADE_COLUMNS, source)


async def compare(tx: Transaction, plan: Plan, unmatched: Unmatched) -> None:
    """Finds what differs among the unmatched rows, and which contacts a full file does not name."""
    if unmatched.rows and not unmatched.makes_all(plan.options):
        if unmatched.looked_up or await few(tx, plan, unmatched.known):
            for statement in plan_sql.FEW:
                await tx.driver.execute(statement)
        args: list[object] = [plan.account_id]
        if erased := plan_sql.erased_custom(plan.options):
            args.append(erased)
        difference = plan_sql.difference(plan.options, known=unmatched.known > 0)
        await tx.driver.execute(difference, *args, timeout=SLOW)
    if plan.options.mode == "full":
        await tx.driver.execute(plan_sql.REMOVE, timeout=SLOW)


async def few(tx: Transaction, plan: Plan, known: int, *, of: int = 0) -> bool:
    """Whether so many contacts are better looked up one by one than with the whole list, which has `of` at least."""
    if known <= ALWAYS_LOOKED_UP or known > LOOKED_UP:
        return known <= ALWAYS_LOOKED_UP
    if known * 4 <= of:
        return True
    return bool(await tx.driver.fetchval(AT_LEAST, plan.account_id, plan.list_id, known * 4, timeout=SLOW))


async def counts(tx: Transaction) -> dict[str, int]:
    """How many of each action, once everything is keyed."""
    found = {row["action"]: row["many"] for row in await tx.driver.fetch(plan_sql.COUNTS, timeout=SLOW)}
    return {str(action): found.get(action, 0) for action in Action}


async def known(tx: Transaction, plan: Plan) -> Known:
    """What of the list the guards of this plan look at."""
    options, about = plan.options, (plan.account_id, plan.list_id)
    contacts = await tx.driver.fetchval(IN_LIST, *about, timeout=SLOW) if options.mode == "full" else 0
    profile = None if options.profile_id is None else str(options.profile_id)
    last = await tx.driver.fetchrow(LAST, *about, options.mode, profile)
    if last is None:
        return Known(int(contacts))
    return Known(int(contacts), last["rows"], last["key_column"])


async def keep_rows(tx: Transaction, plan: Plan, *, applied: bool) -> None:
    """Stores what is not unchanged, before and after. Comes before `write`: it reads the contacts as they were. A plan
    that is shown anew replaces what was shown before."""
    if not applied:
        await tx.driver.execute(FORGET_ROWS, plan.account_id, plan.import_id, timeout=SLOW)
    async with _known(tx, plan) as is_few:
        statement = plan_sql.plan_rows(plan.options, few=is_few)
        await tx.driver.execute(statement, plan.account_id, plan.import_id, applied, timeout=SLOW)


async def write(tx: Transaction, plan: Plan, at: datetime, *, removes: bool) -> None:
    """Makes the list what the plan says. An unchanged row is not written."""
    if removes:
        await tx.driver.execute(plan_sql.DELETE_REMOVED, plan.account_id, timeout=SLOW)
    async with _known(tx, plan) as is_few:
        await tx.driver.execute(plan_sql.update_changed(few=is_few), plan.account_id, at, timeout=SLOW)
    await tx.driver.execute(plan_sql.INSERT_NEW, plan.account_id, plan.list_id, at, timeout=SLOW)


@asynccontextmanager
async def _known(tx: Transaction, plan: Plan) -> AsyncIterator[bool]:
    """Whether the known contacts that a plan writes are few. Those, looked up by their ids, and the changes are then two
    small sets, and joined as such: the planner takes the first for ten rows, and a nested loop for quick."""
    is_few = await few(tx, plan, int(await tx.driver.fetchval(plan_sql.KNOWN, timeout=SLOW)))
    loops = await tx.driver.fetchval(LOOPS)
    if is_few:
        await tx.driver.execute(SET_LOOPS, "off")
    yield is_few
    # As they were: what comes after may be about a million rows, though few of them are known.
    await tx.driver.execute(SET_LOOPS, loops)


async def written(tx: Transaction, chunk: int) -> AsyncIterator[list[str]]:
    """Contacts that `write` created or changed, in chunks, each as the JSON of a ContactChange."""
    cursor = await tx.driver.cursor(told_sql.WRITTEN)
    while found := await cursor.fetch(chunk):
        yield [row[0] for row in found]


async def removed(tx: Transaction, chunk: int) -> AsyncIterator[list[UUID]]:
    cursor = await tx.driver.cursor(told_sql.REMOVED)
    while found := await cursor.fetch(chunk):
        yield [row["id"] for row in found]
