"""contacts.storage.undos: the steps of undoing an applied import."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.lists import KeyKind
from mailmaker.contacts.domain.plans import Plan
from mailmaker.contacts.storage import plan_sql, undo_sql
from mailmaker.contacts.storage.planning import SLOW, prepare


async def ask(tx: Transaction, account_id: UUID, import_id: UUID) -> bool:
    """Puts an applied import in line to be undone. False where it is not applied (any more)."""
    return str(await tx.driver.execute(undo_sql.ASK, account_id, import_id)).endswith("1")


async def compare(tx: Transaction, plan: Plan, kind: KeyKind) -> None:
    """Fills `changes` with what of the plan still is as it left it. Rows with an address wait to be keyed."""
    await prepare(tx, plan)
    await tx.driver.execute(undo_sql.PREPARE)
    about = (plan.account_id, plan.import_id)
    await tx.driver.execute(undo_sql.CHANGED, *about, timeout=SLOW)
    await tx.driver.execute(undo_sql.CREATED, *about, timeout=SLOW)
    await tx.driver.execute(undo_sql.removed(kind), *about, plan.list_id, timeout=SLOW)


async def judge(tx: Transaction, plan: Plan) -> dict[str, int]:
    """Writes beside each row of the plan what becomes of it, and counts. Comes before the contacts are written."""
    about = (plan.account_id, plan.import_id)
    for statement in plan_sql.FEW:
        await tx.driver.execute(statement)
    for statement in undo_sql.VERDICTS:
        await tx.driver.execute(statement, *about, timeout=SLOW)
    await tx.driver.execute(undo_sql.MARK, *about, timeout=SLOW)
    found = {row["undone"]: row["many"] for row in await tx.driver.fetch(undo_sql.COUNTS)}
    return {name: found.get(name, 0) for name in ("restored", "partly", "kept")}


async def restored(tx: Transaction, chunk: int) -> AsyncIterator[list[UUID]]:
    """Contacts that come back, in chunks."""
    cursor = await tx.driver.cursor(undo_sql.RESTORED)
    while found := await cursor.fetch(chunk):
        yield [row["id"] for row in found]


async def done(tx: Transaction, plan: Plan, counts: Mapping[str, int], at: datetime) -> None:
    await tx.driver.execute(undo_sql.UNDONE, plan.account_id, plan.import_id, json.dumps(dict(counts)), at)


async def give_up(tx: Transaction, plan: Plan, error: tuple[str, str]) -> None:
    """The import stays applied."""
    await tx.driver.execute(undo_sql.GIVE_UP, plan.account_id, plan.import_id, *error)
