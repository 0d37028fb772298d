"""dispatch.storage: sending domains and the From identities on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record, UniqueViolationError
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.sending import Domain, Sender
from mailmaker.dispatch.storage.domain_keys import PUBLIC_PARTS, key_of

_ADD = """
INSERT INTO domains (account_id, id, name, state, selector, public_key, private_key, created_at)
VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7)
ON CONFLICT (account_id, name) DO NOTHING
"""
_COLUMNS = f"""account_id, id, name, state, selector, public_key, found, created_at, checked_at, verified_at,
       {PUBLIC_PARTS} AS others"""
_ONE = f"SELECT {_COLUMNS} FROM domains d WHERE account_id = $1 AND id = $2"
_HOLD = "SELECT FROM domains WHERE account_id = $1 AND id = $2 FOR NO KEY UPDATE"
_NAMED = f"SELECT {_COLUMNS} FROM domains d WHERE account_id = $1 AND name = $2"
_PAGE = f"SELECT {_COLUMNS} FROM domains d WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3"
_IN_ZONE = f"SELECT {_COLUMNS} FROM domains d WHERE name = $1 OR right(name, length($1) + 1) = '.' || $1"
_CHECKED = f"""
UPDATE domains d SET found = $3::jsonb, checked_at = $4, state = $5,
       verified_at = CASE WHEN $5 = 'verified' THEN coalesce(verified_at, $4) ELSE verified_at END
 WHERE account_id = $1 AND id = $2 RETURNING {_COLUMNS}
"""
_SENDER_COLUMNS = (
    "s.account_id, s.id, s.domain_id, d.state AS domain_state, s.name, s.email, s.reply_to, s.created_at"
)
_SENDERS = "senders s JOIN domains d ON d.account_id = s.account_id AND d.id = s.domain_id"
_ADD_SENDER = """
INSERT INTO senders (account_id, id, domain_id, name, email, reply_to, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_ONE_SENDER = f"SELECT {_SENDER_COLUMNS} FROM {_SENDERS} WHERE s.account_id = $1 AND s.id = $2"
_SENDER_PAGE = f"""
SELECT {_SENDER_COLUMNS} FROM {_SENDERS} WHERE s.account_id = $1 AND s.id > $2 ORDER BY s.id LIMIT $3
"""


async def add(tx: Transaction, domain: Domain, sealed_key: bytes) -> bool:
    """Writes a domain that waits to be verified. False when the account has one of that name."""
    done = await tx.driver.execute(
        _ADD,
        domain.account_id,
        domain.id,
        domain.name,
        domain.selector,
        domain.public_key,
        sealed_key,
        domain.created_at,
    )
    return bool(done.endswith("1"))


async def one(tx: Transaction, account_id: UUID, domain_id: UUID) -> Domain | None:
    """A domain of the account."""
    row = await tx.driver.fetchrow(_ONE, account_id, domain_id)
    return None if row is None else _domain(row)


async def held(tx: Transaction, account_id: UUID, domain_id: UUID) -> Domain | None:
    """A domain of the account whose keys nobody else changes until this transaction ends."""
    # In two statements: what waited for the row would see the keys of before.
    await tx.driver.execute(_HOLD, account_id, domain_id)
    return await one(tx, account_id, domain_id)


async def named(tx: Transaction, account_id: UUID, name: str) -> Domain | None:
    """The account's domain of this name."""
    row = await tx.driver.fetchrow(_NAMED, account_id, name)
    return None if row is None else _domain(row)


async def page(tx: Transaction, account_id: UUID, after: UUID, limit: int) -> list[Domain]:
    """Domains in the order they were added."""
    return [_domain(row) for row in await tx.driver.fetch(_PAGE, account_id, after, limit)]


async def in_zone(tx: Transaction, zone: str) -> list[Domain]:
    """Every account's domains at or under a zone: for the resolver of one machine's demo zone."""
    return [_domain(row) for row in await tx.driver.fetch(_IN_ZONE, zone)]


async def checked(
    tx: Transaction, domain: Domain, found: Sequence[dict[str, Any]], state: str, at: datetime
) -> Domain:
    """Writes what the DNS said."""
    row = await tx.driver.fetchrow(_CHECKED, domain.account_id, domain.id, json.dumps(list(found)), at, state)
    return _domain(row)


async def add_sender(tx: Transaction, sender: Sender) -> bool:
    """Writes a From identity. False when the account has the same one."""
    try:
        async with tx.driver.transaction():
            await tx.driver.execute(
                _ADD_SENDER,
                sender.account_id,
                sender.id,
                sender.domain_id,
                sender.name,
                sender.email,
                sender.reply_to,
                sender.created_at,
            )
    except UniqueViolationError:
        return False
    return True


async def one_sender(tx: Transaction, account_id: UUID, sender_id: UUID) -> Sender | None:
    """A sender of the account."""
    row = await tx.driver.fetchrow(_ONE_SENDER, account_id, sender_id)
    return None if row is None else _sender(row)


async def sender_page(tx: Transaction, account_id: UUID, after: UUID, limit: int) -> list[Sender]:
    """Senders in the order they were added."""
    return [_sender(row) for row in await tx.driver.fetch(_SENDER_PAGE, account_id, after, limit)]


def _domain(row: Record) -> Domain:
    return Domain(
        account_id=row["account_id"],
        id=row["id"],
        name=row["name"],
        verified=row["state"] == "verified",
        selector=row["selector"],
        public_key=row["public_key"],
        found=None if row["found"] is None else tuple(row["found"]),
        created_at=row["created_at"],
        checked_at=row["checked_at"],
        verified_at=row["verified_at"],
        others=tuple(key_of(key) for key in row["others"]),
    )


def _sender(row: Record) -> Sender:
    return Sender(
        account_id=row["account_id"],
        id=row["id"],
        domain_id=row["domain_id"],
        domain_verified=row["domain_state"] == "verified",
        name=row["name"],
        email=row["email"],
        reply_to=row["reply_to"],
        created_at=row["created_at"],
    )
