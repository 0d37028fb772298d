"""contacts.storage.lists: lists, their fields, and the lock that orders an import with other writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from mailmaker.common.contracts.contacts import CapPolicy, Controller
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.lists import ContactList, Field, FieldType, KeyKind

_OF_LIST = "FROM list_fields f WHERE f.account_id = l.account_id AND f.list_id = l.id ORDER BY position"
COLUMNS = f"""
    l.account_id, l.id, l.name, l.key, l.default_country, l.timezone, l.controller_name, l.controller_email,
    l.caps::text AS caps, l.opened_at, l.changed_at, l.closed_at, l.version,
    array(SELECT f.name {_OF_LIST}) AS names, array(SELECT f.type {_OF_LIST}) AS types,
    array(SELECT array_to_string(f.choices, E'\\x1f') {_OF_LIST}) AS choices,
    array(SELECT coalesce(f.id, f.name) {_OF_LIST}) AS ids, array(SELECT f.retired {_OF_LIST}) AS retired
"""
ONE = f"SELECT {COLUMNS} FROM lists l WHERE l.account_id = $1 AND l.id = $2"
LOCK = ONE + " AND l.closed_at IS NULL FOR UPDATE OF l"
ANYWHERE = f"SELECT {COLUMNS} FROM lists l WHERE l.id = $1"
AFTER = f"SELECT {COLUMNS} FROM lists l WHERE l.account_id = $1 AND l.id > $2 AND l.closed_at IS NULL ORDER BY l.id LIMIT $3"
COUNT = "SELECT count(*) FROM lists WHERE account_id = $1 AND closed_at IS NULL"
INSERT = """
INSERT INTO lists (account_id, id, name, key, default_country, timezone, controller_name, controller_email, caps,
                   opened_at, changed_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12)
"""
UPDATE = """
UPDATE lists SET name = $3, default_country = $4, timezone = $5, controller_name = $6, controller_email = $7,
                 caps = $8::jsonb, changed_at = $9, version = $10, closed_at = $11 WHERE account_id = $1 AND id = $2
"""
DELETE_FIELDS = "DELETE FROM list_fields WHERE account_id = $1 AND list_id = $2"
INSERT_FIELDS = """
INSERT INTO list_fields (account_id, list_id, name, position, type, choices, id, retired)
SELECT $1, $2, n, i, t, CASE WHEN c = '' THEN '{}' ELSE string_to_array(c, E'\\x1f') END, k, r
  FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[]) WITH ORDINALITY AS f(n, t, c, k, r, i)
"""
HOLDERS = "SELECT count(*) FROM contacts WHERE account_id = $1 AND list_id = $2 AND custom ? $3"
HOLDERS_OF_OTHERS = HOLDERS + " AND custom ->> $3 <> ALL($4::text[])"
# An import holds a list's lock alone, other writes of its contacts share it; both end with their transaction.
SHARE_WRITES = "SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 11))"
STOP_WRITES = "SELECT pg_advisory_xact_lock(hashtextextended($1, 11))"


def list_of(row: Any) -> ContactList:
    columns = zip(row["names"], row["types"], row["choices"], row["ids"], row["retired"], strict=True)
    fields = [
        (Field(name, FieldType(kind), tuple(choices.split("\x1f")) if choices else (), key), retired)
        for name, kind, choices, key, retired in columns
    ]
    return ContactList(
        row["account_id"],
        row["id"],
        row["name"],
        KeyKind(row["key"]),
        row["default_country"],
        row["timezone"],
        Controller(name=row["controller_name"], email=row["controller_email"]),
        CapPolicy.model_validate_json(row["caps"]),
        row["opened_at"],
        row["changed_at"],
        row["version"],
        row["closed_at"] is not None,
        tuple(one for one, retired in fields if not retired),
        tuple(one for one, retired in fields if retired),
    )


async def one(tx: Transaction, account_id: UUID, list_id: UUID, *, lock: bool = False) -> ContactList | None:
    """A list; with `lock`, only an open one, its row held until the commit."""
    row = await tx.driver.fetchrow(LOCK if lock else ONE, account_id, list_id)
    return None if row is None else list_of(row)


async def anywhere(tx: Transaction, list_id: UUID) -> ContactList | None:
    """A list of any account: for internal doors, in a platform transaction."""
    row = await tx.driver.fetchrow(ANYWHERE, list_id)
    return None if row is None else list_of(row)


async def after(tx: Transaction, account_id: UUID, list_id: UUID, limit: int) -> list[ContactList]:
    return [list_of(row) for row in await tx.driver.fetch(AFTER, account_id, list_id, limit)]


async def count(tx: Transaction, account_id: UUID) -> int:
    return int(await tx.driver.fetchval(COUNT, account_id))


async def insert(tx: Transaction, it: ContactList) -> None:
    await tx.driver.execute(
        INSERT,
        it.account_id,
        it.id,
        it.name,
        str(it.key),
        it.default_country,
        it.timezone,
        it.controller.name,
        it.controller.email,
        it.caps.model_dump_json(),
        it.opened_at,
        it.changed_at,
        it.version,
    )


async def update(tx: Transaction, it: ContactList) -> None:
    await tx.driver.execute(
        UPDATE,
        it.account_id,
        it.id,
        it.name,
        it.default_country,
        it.timezone,
        it.controller.name,
        it.controller.email,
        it.caps.model_dump_json(),
        it.changed_at,
        it.version,
        it.changed_at if it.closed else None,
    )


async def replace_fields(tx: Transaction, it: ContactList) -> None:
    """Writes a list's fields, those in use and the retired ones, in their order."""
    await tx.driver.execute(DELETE_FIELDS, it.account_id, it.id)
    every = [*it.fields, *it.retired]
    await tx.driver.execute(
        INSERT_FIELDS,
        it.account_id,
        it.id,
        [f.name for f in every],
        [str(f.type) for f in every],
        ["\x1f".join(f.values) for f in every],
        [f.key for f in every],
        [place >= len(it.fields) for place in range(len(every))],
    )


async def holders(tx: Transaction, it: ContactList, key: str, but: Sequence[str] | None) -> int:
    """Contacts that hold a value of a field: any, or one other than those named."""
    query, more = (HOLDERS, ()) if but is None else (HOLDERS_OF_OTHERS, (list(but),))
    return int(await tx.driver.fetchval(query, it.account_id, it.id, key, *more))


async def share_writes(tx: Transaction, list_id: UUID) -> None:
    """Waits while an import is being applied to the list."""
    await tx.driver.execute(SHARE_WRITES, str(list_id))


async def stop_writes(tx: Transaction, list_id: UUID, *, wait: float) -> None:
    """Waits for the list's running writes, and keeps others out until the commit."""
    await tx.driver.execute(STOP_WRITES, str(list_id), timeout=wait)
