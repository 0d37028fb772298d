"""ingest.storage.profiles: saved profiles in PostgreSQL."""

from __future__ import annotations

import json
from uuid import UUID

from asyncpg import Record, UniqueViolationError
from mailmaker.common.storage.transaction import Transaction
from mailmaker.ingest.domain.profiles import Profile

_COLUMNS = "account_id, id, name, list_id, file_pattern, options, created_at, updated_at, version"
_ADD = f"""
INSERT INTO import_profiles ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9)
"""
_ONE = f"SELECT {_COLUMNS} FROM import_profiles WHERE account_id = $1 AND id = $2"
_LOCKED = f"{_ONE} FOR UPDATE"
_PAGE = f"""
SELECT {_COLUMNS} FROM import_profiles
 WHERE account_id = $1 AND ($2::uuid IS NULL OR id > $2) AND ($3::uuid IS NULL OR list_id = $3)
   AND ($4::uuid[] IS NULL OR list_id IS NULL OR list_id = ANY ($4)) ORDER BY id LIMIT $5
"""
_PATTERNED = f"""
SELECT {_COLUMNS} FROM import_profiles
 WHERE account_id = $1 AND file_pattern IS NOT NULL AND ($2::uuid IS NULL OR list_id IS NULL OR list_id = $2)
"""
_COUNT = "SELECT count(*) FROM import_profiles WHERE account_id = $1"
_CHANGE = """
UPDATE import_profiles SET name = $3, list_id = $4, file_pattern = $5, options = $6::jsonb, updated_at = $7, version = $8
 WHERE account_id = $1 AND id = $2
"""
_REMOVE = "DELETE FROM import_profiles WHERE account_id = $1 AND id = $2"
# One account's profiles are counted and added by one call at a time; the name is locked until the transaction ends.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('import_profiles ' || $1::uuid::text, 7))"


class NameTaken(ValueError):
    """The account has a profile of this name."""


async def counted(tx: Transaction, account_id: UUID) -> int:
    """How many profiles the account has; nobody adds one until this transaction ends."""
    await tx.driver.execute(_LOCK, account_id)
    found: int = await tx.driver.fetchval(_COUNT, account_id)
    return found


async def add(tx: Transaction, it: Profile) -> None:
    """Raises NameTaken."""
    try:
        await tx.driver.execute(
            _ADD, it.account_id, it.id, it.name, it.list_id, it.file_pattern, json.dumps(dict(it.options)),
            it.created_at, it.updated_at, it.version,
        )  # fmt: skip
    except UniqueViolationError as wrong:
        raise NameTaken(it.name) from wrong


async def change(tx: Transaction, it: Profile) -> None:
    """Raises NameTaken."""
    try:
        await tx.driver.execute(
            _CHANGE, it.account_id, it.id, it.name, it.list_id, it.file_pattern, json.dumps(dict(it.options)),
            it.updated_at, it.version,
        )  # fmt: skip
    except UniqueViolationError as wrong:
        raise NameTaken(it.name) from wrong


async def one(tx: Transaction, account_id: UUID, profile_id: UUID, *, lock: bool = False) -> Profile | None:
    """A profile of the account."""
    row = await tx.driver.fetchrow(_LOCKED if lock else _ONE, account_id, profile_id)
    return None if row is None else _profile(row)


async def page(
    tx: Transaction, account_id: UUID, after: UUID | None, list_id: UUID | None,
    allowed: frozenset[UUID] | None, limit: int,
) -> list[Profile]:  # fmt: skip
    """Profiles, oldest first."""
    lists = None if allowed is None else list(allowed)
    return [_profile(row) for row in await tx.driver.fetch(_PAGE, account_id, after, list_id, lists, limit)]


async def patterned(tx: Transaction, account_id: UUID, list_id: UUID | None) -> list[Profile]:
    """Those that a file's name may choose, for one list or for any."""
    return [_profile(row) for row in await tx.driver.fetch(_PATTERNED, account_id, list_id)]


async def remove(tx: Transaction, it: Profile) -> None:
    """Forgets it. Imports keep the options that they were sent with."""
    await tx.driver.execute(_REMOVE, it.account_id, it.id)


def _profile(row: Record) -> Profile:
    return Profile(*(row[name.strip()] for name in _COLUMNS.split(",")))
