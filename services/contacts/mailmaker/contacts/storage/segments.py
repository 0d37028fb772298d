"""contacts.storage.segments: segments, every version of their rules, and who of a list one means."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.contact import Contact
from mailmaker.contacts.domain.segments import Day, Rule, Segment
from mailmaker.contacts.errors import TooSlow
from mailmaker.contacts.storage import contacts
from mailmaker.contacts.storage.segment_sql import Compiled, compiled

MOST_SECONDS = 5
"""A statement of a rule runs no longer. Every statement of a count has them for itself."""

COLUMNS = """
    s.account_id, s.list_id, s.id, s.name, r.rule::text AS rule, s.created_at, s.changed_at, s.version,
    s.retired_at IS NOT NULL AS retired
"""
_FROM = "FROM segments s JOIN segment_rules r ON r.account_id = s.account_id AND r.segment_id = s.id"
_NOW = f"SELECT {COLUMNS} {_FROM} AND r.version = s.version"
ONE = f"{_NOW} WHERE s.account_id = $1 AND s.list_id = $2 AND s.id = $3 AND s.retired_at IS NULL"
LOCK = f"{ONE} FOR UPDATE OF s"
# By id alone, for another house: one look-up an account, in the index that begins with it.
ANYWHERE = f"""
SELECT f.* FROM accounts a CROSS JOIN LATERAL (
       {_NOW} WHERE s.account_id = a.account_id AND s.id = $1) f LIMIT 1
"""
OF_VERSION = (
    f"SELECT {COLUMNS} {_FROM} WHERE s.account_id = $1 AND s.id = $2 AND r.version = coalesce($3, s.version)"
)
AFTER = f"{_NOW} WHERE s.account_id = $1 AND s.list_id = $2 AND s.id > $3 AND s.retired_at IS NULL ORDER BY s.id LIMIT $4"
COUNT = "SELECT count(*) FROM segments WHERE account_id = $1 AND list_id = $2 AND retired_at IS NULL"
INSERT = """
INSERT INTO segments (account_id, list_id, id, name, created_at, changed_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
UPDATE = """
UPDATE segments SET name = $4, changed_at = $5, version = $6, retired_at = CASE WHEN $7 THEN $5::timestamptz END
 WHERE account_id = $1 AND list_id = $2 AND id = $3
"""
KEEP_RULE = "INSERT INTO segment_rules (account_id, segment_id, version, rule) VALUES ($1, $2, $3, $4::jsonb)"

# Read from end to end, by as many processes as the server gives: the list's key is an index that would lead to each
# row by itself. A parallel plan needs the whole answer asked for at once, so `fetch` and not `fetchval`.
COUNTING = f"""
SET LOCAL statement_timeout = '{MOST_SECONDS}s'; SET LOCAL plan_cache_mode = force_custom_plan;
SET LOCAL work_mem = '64MB'; SET LOCAL enable_indexscan = off
"""
PAGING = f"SET LOCAL statement_timeout = '{MOST_SECONDS}s'; SET LOCAL plan_cache_mode = force_custom_plan"
HOW_MANY = (
    "SELECT count(*) AS many FROM contacts c {joins} WHERE c.account_id = $1 AND c.list_id = $2 AND {where}"
)
SOME = "SELECT c.id FROM contacts c {joins} WHERE c.account_id = $1 AND c.list_id = $2 AND {where}"
BY_IDS = f"SELECT {contacts.COLUMNS} FROM contacts WHERE account_id = $1 AND id = ANY($2::uuid[]) ORDER BY key_text"
PAGE = """
SELECT {columns} FROM (
    SELECT c.* FROM contacts c {joins} WHERE c.account_id = $1 AND c.list_id = $2 AND c.key_text > $3 AND {where}
     ORDER BY c.key_text LIMIT $4) c ORDER BY key_text
"""
RARE = 2_000
"""So few contacts are all asked for, by every process at once; of more, the first few are soon found by one."""


def segment_of(row: Any) -> Segment:
    return Segment(
        row["account_id"],
        row["list_id"],
        row["id"],
        row["name"],
        json.loads(row["rule"]),
        row["created_at"],
        row["changed_at"],
        row["version"],
        row["retired"],
    )


async def one(
    tx: Transaction, account_id: UUID, list_id: UUID, segment_id: UUID, *, lock: bool = False
) -> Segment | None:
    """A segment of a list that is not retired; `lock` holds it to the commit."""
    row = await tx.driver.fetchrow(LOCK if lock else ONE, account_id, list_id, segment_id)
    return None if row is None else segment_of(row)


async def anywhere(tx: Transaction, segment_id: UUID) -> Segment | None:
    """A segment of any account, retired ones too: for internal doors, in a platform transaction."""
    row = await tx.driver.fetchrow(ANYWHERE, segment_id)
    return None if row is None else segment_of(row)


async def of_version(
    tx: Transaction, account_id: UUID, segment_id: UUID, version: int | None
) -> Segment | None:
    """A segment with the rule it had at a version (None: has now), retired ones too."""
    row = await tx.driver.fetchrow(OF_VERSION, account_id, segment_id, version)
    return None if row is None else segment_of(row)


async def after(
    tx: Transaction, account_id: UUID, list_id: UUID, segment_id: UUID, limit: int
) -> list[Segment]:
    return [segment_of(row) for row in await tx.driver.fetch(AFTER, account_id, list_id, segment_id, limit)]


async def count(tx: Transaction, account_id: UUID, list_id: UUID) -> int:
    return int(await tx.driver.fetchval(COUNT, account_id, list_id))


async def insert(tx: Transaction, it: Segment) -> None:
    await tx.driver.execute(
        INSERT, it.account_id, it.list_id, it.id, it.name, it.created_at, it.changed_at, it.version
    )
    await _keep_rule(tx, it)


async def update(tx: Transaction, it: Segment) -> None:
    """Writes a new version. The rules of earlier ones stay."""
    await tx.driver.execute(
        UPDATE, it.account_id, it.list_id, it.id, it.name, it.changed_at, it.version, it.retired
    )
    await _keep_rule(tx, it)


async def _keep_rule(tx: Transaction, it: Segment) -> None:
    await tx.driver.execute(KEEP_RULE, it.account_id, it.id, it.version, json.dumps(it.rule))


async def how_many(
    tx: Transaction, account_id: UUID, list_id: UUID, rule: Rule, day: Day, most: int
) -> tuple[int, list[Contact]]:
    """How many contacts of a list a rule means, and up to `most` of them. Raises TooSlow."""
    found = compiled(rule, day, 3)
    args = (account_id, list_id, *found.values)
    async with _bounded(tx, COUNTING):
        many = int((await tx.driver.fetch(_of(HOW_MANY, found), *args))[0]["many"])
        if many == 0 or most == 0:
            return many, []
        some = _of(SOME, found)
        if many > RARE:
            some += f" LIMIT {most:d}"
        ids = [row["id"] for row in await tx.driver.fetch(some, *args)][:most]
        return many, await _by_ids(tx, account_id, ids)


async def page(
    tx: Transaction, account_id: UUID, list_id: UUID, rule: Rule, day: Day, after: str, limit: int
) -> list[Contact]:
    """Contacts of a list that a rule means, in the order of the list's keys. Raises TooSlow."""
    found = compiled(rule, day, 5)
    query = PAGE.format(joins=found.joins, where=found.where, columns=contacts.COLUMNS)
    async with _bounded(tx, PAGING):
        rows = await tx.driver.fetch(query, account_id, list_id, after, limit, *found.values)
    return [contacts.contact_of(row) for row in rows]


async def _by_ids(tx: Transaction, account_id: UUID, ids: Sequence[UUID]) -> list[Contact]:
    return [contacts.contact_of(row) for row in await tx.driver.fetch(BY_IDS, account_id, list(ids))]


def _of(statement: str, found: Compiled) -> str:
    return statement.format(joins=found.joins, where=found.where)


@asynccontextmanager
async def _bounded(tx: Transaction, settings: str) -> AsyncIterator[None]:
    """Gives a rule's statements their limits. What a client composed must not keep the database to itself."""
    await tx.driver.execute(settings)
    try:
        yield
    except asyncpg.QueryCanceledError as wrong:
        raise TooSlow(
            f"the rule took more than {MOST_SECONDS} seconds on this list; ask for less at once, or try again"
        ) from wrong
