"""contacts.storage.by_line: the steps of finding which lines of a file are to be read, in temporary tables (line_sql)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailmaker.common.storage.bulk import copy_in
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.plans import Plan, Unmatched
from mailmaker.contacts.storage import line_sql, planning
from mailmaker.contacts.storage.planning import SLOW


async def receive(tx: Transaction, source: AsyncIterator[bytes]) -> int:
    """Copies a file's lines into a temporary table. Returns how many."""
    for statement in line_sql.PREPARE:
        await tx.driver.execute(statement)
    return await copy_in(tx.driver, "lines", line_sql.COLUMNS, source, form="binary")


@asynccontextmanager
async def waiting(tx: Transaction, seconds: float) -> AsyncIterator[None]:
    """Another house is asked meanwhile, which may take so long; a process that is stopped then holds the list as long."""
    before = await tx.driver.fetchval(line_sql.PATIENCE)
    await tx.driver.execute(line_sql.SET_PATIENCE, f"{seconds:.0f}s")
    yield
    await tx.driver.execute(line_sql.SET_PATIENCE, before)


async def loose(tx: Transaction, plan: Plan) -> int:
    """Finds the lines that the list does not hold. Returns how many."""
    statement = line_sql.LOOSE_EITHER if plan.options.mode == "full" else line_sql.LOOSE
    await tx.driver.execute(statement, plan.account_id, plan.list_id, timeout=SLOW)
    return int(await tx.driver.fetchval(line_sql.MANY, timeout=SLOW))


async def wanted(tx: Transaction) -> list[int]:
    """Their numbers, in order."""
    return list(await tx.driver.fetchval(line_sql.WANTED, timeout=SLOW) or ())


async def match(tx: Transaction, plan: Plan, held: int) -> Unmatched:
    """Whom the lines name that were read: their outline is there. `held`: lines that contacts carry."""
    odd = int((await tx.driver.execute(line_sql.ODD, timeout=SLOW)).rpartition(" ")[2])
    if few := await planning.few(tx, plan, odd, of=held):
        for statement in line_sql.FEW:
            await tx.driver.execute(statement)
    if plan.options.mode == "full":
        await tx.driver.execute(line_sql.UNMATCHED_EITHER, timeout=SLOW)
        return await planning.found(tx, few=few)
    return await planning.looked_up(tx, plan, few=few)


async def doubled(tx: Transaction, plan: Plan) -> bool:
    """Whether one of them has the key of a line that was not read."""
    digests = await tx.driver.fetchval(line_sql.NAMED, plan.account_id, plan.list_id, timeout=SLOW)
    return bool(digests and await tx.driver.fetchval(line_sql.DOUBLED, digests, timeout=SLOW))


async def again(tx: Transaction) -> None:
    """Forgets what was found: the whole file comes."""
    await tx.driver.execute(line_sql.AGAIN)


async def learn(tx: Transaction, plan: Plan) -> None:
    """Whom an import finds to be as their lines say, the next file need not read."""
    await tx.driver.execute(line_sql.LEARN, plan.account_id, timeout=SLOW)
