"""contacts.storage.accounts: accounts and API keys, and the numbered changes that other houses pull."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from mailmaker.common.contracts.internal import AccountRow, KeyRow
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.accounts import Account, AccountState, ApiKey

_NEW_ACCOUNT = "account_id, number, name, state, opened_at, version, most_lists"
ANY_ACCOUNT = f"{_NEW_ACCOUNT}, closed_at, emptied_at"
ANY_KEY = "account_id, id, name, hint, scopes, lists, created_at, expires_at, revoked_at, version"

NEXT = "UPDATE counters SET last = last + $2 WHERE name = $1 RETURNING last"
INSERT_ACCOUNT = f"INSERT INTO accounts ({_NEW_ACCOUNT}) VALUES ($1, $2, $3, $4, $5, $6, $7)"
UPDATE_ACCOUNT = """
UPDATE accounts SET name = $2, state = $3, version = $4, most_lists = $5, closed_at = $6 WHERE account_id = $1
"""
ONE_ACCOUNT = f"SELECT {ANY_ACCOUNT} FROM accounts WHERE account_id = $1"
LOCK_ACCOUNT = ONE_ACCOUNT + " FOR UPDATE"
ACCOUNT_BY_NUMBER = f"SELECT {ANY_ACCOUNT} FROM accounts WHERE number = $1"
ACCOUNTS_AFTER = f"SELECT {ANY_ACCOUNT} FROM accounts WHERE number > $1 ORDER BY number LIMIT $2"

INSERT_KEY = """
INSERT INTO api_keys (account_id, id, name, hint, secret_hash, scopes, lists, created_at, expires_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
KEYS_AFTER = f"SELECT {ANY_KEY} FROM api_keys WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3"
LOCK_KEY = f"SELECT {ANY_KEY}, secret_hash FROM api_keys WHERE account_id = $1 AND id = $2 FOR UPDATE"
REVOKE_KEY = "UPDATE api_keys SET revoked_at = $3, version = $4 WHERE account_id = $1 AND id = $2"

WIRE_KEY = """
SELECT id AS key_id, account_id, encode(secret_hash, 'hex') AS secret_hash, scopes, lists AS list_ids, expires_at,
       revoked_at IS NOT NULL AS revoked, version FROM api_keys
"""
# Both tables take their versions from one counter row that is locked until the commit: what is visible has no gap.
ACCOUNT_CHANGES = f"SELECT {ANY_ACCOUNT} FROM accounts WHERE version > $1 ORDER BY version LIMIT $2"
KEY_CHANGES = WIRE_KEY + " WHERE version > $1 ORDER BY version LIMIT $2"
KEY_BY_HASH = WIRE_KEY + " WHERE secret_hash = $1"


def account_of(row: Any) -> Account:
    return Account(
        row["account_id"],
        row["number"],
        row["name"],
        AccountState(row["state"]),
        row["opened_at"],
        row["version"],
        row["most_lists"],
        row["closed_at"],
        row["emptied_at"],
    )


def key_of(row: Any) -> ApiKey:
    lists = row["lists"]
    return ApiKey(
        row["account_id"],
        row["id"],
        row["name"],
        row["hint"],
        tuple(row["scopes"]),
        None if lists is None else tuple(lists),
        row["created_at"],
        row["expires_at"],
        row["revoked_at"],
        row["version"],
    )


async def next_number(tx: Transaction, name: str, many: int = 1) -> int:
    """The first of `many` consecutive numbers. Held until the commit, so ask for them last."""
    last: int = await tx.driver.fetchval(NEXT, name, many)
    return last - many + 1


async def insert_account(tx: Transaction, a: Account) -> None:
    await tx.driver.execute(
        INSERT_ACCOUNT, a.account_id, a.number, a.name, str(a.state), a.opened_at, a.version, a.most_lists
    )


async def update_account(tx: Transaction, a: Account) -> None:
    await tx.driver.execute(
        UPDATE_ACCOUNT, a.account_id, a.name, str(a.state), a.version, a.most_lists, a.closed_at
    )


async def account(tx: Transaction, account_id: UUID, *, lock: bool = False) -> Account | None:
    row = await tx.driver.fetchrow(LOCK_ACCOUNT if lock else ONE_ACCOUNT, account_id)
    return None if row is None else account_of(row)


async def account_by_number(tx: Transaction, number: int) -> Account | None:
    row = await tx.driver.fetchrow(ACCOUNT_BY_NUMBER, number)
    return None if row is None else account_of(row)


async def accounts_after(tx: Transaction, number: int, limit: int) -> list[Account]:
    return [account_of(row) for row in await tx.driver.fetch(ACCOUNTS_AFTER, number, limit)]


async def insert_key(tx: Transaction, k: ApiKey, secret_hash: bytes) -> None:
    await tx.driver.execute(
        INSERT_KEY,
        k.account_id,
        k.id,
        k.name,
        k.hint,
        secret_hash,
        list(k.scopes),
        None if k.lists is None else list(k.lists),
        k.created_at,
        k.expires_at,
        k.version,
    )


async def keys_after(tx: Transaction, account_id: UUID, after: UUID, limit: int) -> list[ApiKey]:
    return [key_of(row) for row in await tx.driver.fetch(KEYS_AFTER, account_id, after, limit)]


async def lock_key(tx: Transaction, account_id: UUID, key_id: UUID) -> tuple[ApiKey, bytes] | None:
    row = await tx.driver.fetchrow(LOCK_KEY, account_id, key_id)
    return None if row is None else (key_of(row), bytes(row["secret_hash"]))


async def revoke_key(tx: Transaction, k: ApiKey) -> None:
    await tx.driver.execute(REVOKE_KEY, k.account_id, k.id, k.revoked_at, k.version)


async def changes(tx: Transaction, after: int, limit: int) -> tuple[Sequence[AccountRow], Sequence[KeyRow]]:
    """Changes after a version, up to `limit` of each kind, oldest first."""
    accounts = [
        AccountRow.model_validate(dict(r)) for r in await tx.driver.fetch(ACCOUNT_CHANGES, after, limit)
    ]
    keys = [KeyRow.model_validate(dict(r)) for r in await tx.driver.fetch(KEY_CHANGES, after, limit)]
    return accounts, keys


async def key_by_hash(tx: Transaction, secret_hash: bytes) -> KeyRow | None:
    row = await tx.driver.fetchrow(KEY_BY_HASH, secret_hash)
    return None if row is None else KeyRow.model_validate(dict(row))
