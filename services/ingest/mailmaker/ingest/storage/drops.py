"""ingest.storage.drops: drops in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record, UniqueViolationError
from mailmaker.common.storage.transaction import Transaction
from mailmaker.ingest.domain.drops import Drop, Rule

_COLUMNS = """account_id, id, user_name, name, protocols, rules, password_hash, public_keys, quota_bytes, quota_files,
    active, closed, credentials, created_at, updated_at, last_login_at, version"""
_ADD = f"""
INSERT INTO drops (account_id, id, user_name, name, protocols, rules, password_hash, public_keys, quota_bytes, quota_files,
       active, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10, $11, $12, $12) RETURNING {_COLUMNS}
"""
_ONE = f"SELECT {_COLUMNS} FROM drops WHERE account_id = $1 AND id = $2 AND NOT closed"
_LOCKED = f"{_ONE} FOR UPDATE"
_BY_USER = f"SELECT {_COLUMNS} FROM drops WHERE user_name = $1 AND NOT closed"
_PREFIX = "SELECT split_part(user_name, '-', 1) FROM drops WHERE account_id = $1 LIMIT 1"
_PAGE = f"""
SELECT {_COLUMNS} FROM drops WHERE account_id = $1 AND NOT closed AND ($2::uuid IS NULL OR id < $2)
 ORDER BY id DESC LIMIT $3
"""
_SAVE = f"""
UPDATE drops SET name = $3, protocols = $4, rules = $5::jsonb, password_hash = $6, public_keys = $7, quota_bytes = $8,
       quota_files = $9, active = $10, closed = $11, credentials = $12, version = version + 1,
       updated_at = clock_timestamp()
 WHERE account_id = $1 AND id = $2 RETURNING {_COLUMNS}
"""
_ALL = f"SELECT {_COLUMNS} FROM drops ORDER BY account_id, id"
_LOGGED_IN = "UPDATE drops SET last_login_at = clock_timestamp() WHERE account_id = $1 AND id = $2"
_FORGET_FILES = "DELETE FROM drop_files WHERE account_id = $1 AND drop_id = $2"
_FORGET = "DELETE FROM drops WHERE account_id = $1 AND id = $2 AND closed"
_STANDING = "SELECT id, credentials FROM drops WHERE id = ANY ($1::uuid[]) AND active AND NOT closed"


class UserNameTaken(Exception):
    """Another drop has this user name: draw another."""


async def add(tx: Transaction, drop: Drop) -> Drop:
    """Writes a new drop. Raises UserNameTaken."""
    try:
        row = await tx.driver.fetchrow(
            _ADD, drop.account_id, drop.id, drop.user_name, drop.name, list(drop.protocols), _rules(drop),
            drop.password_hash, list(drop.public_keys), drop.quota_bytes, drop.quota_files, drop.active,
            drop.created_at,
        )  # fmt: skip
    except UniqueViolationError as wrong:
        raise UserNameTaken from wrong
    return _drop(row)


async def one(tx: Transaction, account_id: UUID, drop_id: UUID, *, lock: bool = False) -> Drop | None:
    """A drop of the account that is not closed."""
    row = await tx.driver.fetchrow(_LOCKED if lock else _ONE, account_id, drop_id)
    return None if row is None else _drop(row)


async def by_user(tx: Transaction, user_name: str) -> Drop | None:
    """The drop that a user name opens. In a platform transaction."""
    row = await tx.driver.fetchrow(_BY_USER, user_name)
    return None if row is None else _drop(row)


async def prefix(tx: Transaction, account_id: UUID) -> str | None:
    """How the account's user names begin, once it has one."""
    found: str | None = await tx.driver.fetchval(_PREFIX, account_id)
    return found


async def page(tx: Transaction, account_id: UUID, before: UUID | None, limit: int) -> list[Drop]:
    """The account's drops, newest first."""
    return [_drop(row) for row in await tx.driver.fetch(_PAGE, account_id, before, limit)]


async def save(tx: Transaction, drop: Drop) -> Drop:
    """Writes a drop that was read under its lock."""
    return _drop(
        await tx.driver.fetchrow(
            _SAVE, drop.account_id, drop.id, drop.name, list(drop.protocols), _rules(drop), drop.password_hash,
            list(drop.public_keys), drop.quota_bytes, drop.quota_files, drop.active, drop.closed,
            drop.credentials,
        )
    )  # fmt: skip


async def every(tx: Transaction) -> list[Drop]:
    """All drops of all accounts, closed ones too. In a platform transaction."""
    return [_drop(row) for row in await tx.driver.fetch(_ALL)]


async def standing(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Of these drops, those that may be used now, with the count of their credentials. In a platform transaction."""
    return {row["id"]: row["credentials"] for row in await tx.driver.fetch(_STANDING, list(ids))}


async def logged_in(tx: Transaction, drop: Drop) -> None:
    """Somebody came in."""
    await tx.driver.execute(_LOGGED_IN, drop.account_id, drop.id)


async def forget(tx: Transaction, drop: Drop) -> None:
    """Removes a closed drop and the rows of its files."""
    await tx.driver.execute(_FORGET_FILES, drop.account_id, drop.id)
    await tx.driver.execute(_FORGET, drop.account_id, drop.id)


def _rules(drop: Drop) -> str:
    return json.dumps([rule.as_json() for rule in drop.rules])


def _drop(row: Record) -> Drop:
    return Drop(
        account_id=row["account_id"],
        id=row["id"],
        user_name=row["user_name"],
        name=row["name"],
        protocols=tuple(row["protocols"]),
        rules=tuple(Rule.from_json(rule) for rule in row["rules"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        password_hash=row["password_hash"],
        public_keys=tuple(row["public_keys"]),
        quota_bytes=row["quota_bytes"],
        quota_files=row["quota_files"],
        active=row["active"],
        closed=row["closed"],
        credentials=row["credentials"],
        version=row["version"],
        last_login_at=row["last_login_at"],
    )
