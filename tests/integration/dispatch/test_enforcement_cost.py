"""integration: what a "no" reads in PostgreSQL does not grow with the mailing that runs, whatever the planner last heard."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from dispatch_street import Person, Street, a_no
from mailmaker.common.storage.ids import new_id
from mailmaker.dispatch.domain.directives import Directive, directives_of, stopping
from mailmaker.dispatch.storage import directives as standing
from sqlalchemy.engine import make_url

PEOPLE = 6_000
FEW_PAGES = 400
"""A mailing of 6,000 has thousands of index and table pages; a directive meets a handful of them by each of its keys."""


async def looked_at(street: Street) -> None:
    """What autovacuum does in its own time."""
    owner = make_url(street.db._dsn.render_as_string(hide_password=False)).set(username="postgres")
    conn = await asyncpg.connect(owner.render_as_string(hide_password=False))
    try:
        await conn.execute("ANALYZE dispatch.messages")
    finally:
        await conn.close()


async def pages_read(street: Street, directives: list[Directive]) -> int:
    """Pages that the statements of the second commit touch, rolled back."""
    explain, arrays, pages = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ", standing._arrays(directives), 0
    async with street.db.platform() as tx:
        undone = tx.driver.transaction()
        await undone.start()
        await tx.driver.execute(standing._BY_INDEX)
        for statement, more in ((standing._STOP, ["suppressed"]), (standing._IN_FLIGHT, [])):
            told = await tx.driver.fetchval(explain + statement, *arrays, *more)
            plan: dict[str, Any] = told[0]["Plan"]
            pages += int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])
        await undone.rollback()
    return pages


@pytest.mark.parametrize("earlier", ["none", "cancelled", "another account's"])
async def test_a_no_reads_few_pages_of_a_mailing_expanded_a_moment_ago(street: Street, earlier: str) -> None:
    people = [Person(f"p{n}@x.test", fkey=f"F{n}") for n in range(PEOPLE)]
    listed = street.contacts.open_list(people)
    if earlier != "none":
        await street.mailing(listed)
        now = f"account_id = '{new_id()}'" if earlier != "cancelled" else "state = 'cancelled'"
        async with street.db.platform() as tx:
            await tx.driver.execute(f"UPDATE messages SET {now}")
    await looked_at(street)
    assert (await street.mailing(listed)).counts.waiting == PEOPLE
    for n in (1, 7):
        found = stopping(directives_of([a_no(street, number, people[number]) for number in range(1, n + 1)]))
        assert await pages_read(street, found) < FEW_PAGES * n
