"""ingest.storage.pgp_keys: the accounts' keys for encrypted files: the public part as it is, the private part sealed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction

_COLUMNS = "id, fingerprint, public_key, sealed_key, created_at"
_ADD = f"""
INSERT INTO pgp_keys (account_id, id, fingerprint, public_key, sealed_key, created_at)
VALUES ($1, $2, $3, $4, $5, clock_timestamp()) RETURNING {_COLUMNS}
"""
_OF = f"SELECT {_COLUMNS} FROM pgp_keys WHERE account_id = $1 ORDER BY id DESC LIMIT 10"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 9))"


@dataclass(frozen=True, slots=True)
class PgpKey:
    """One key pair."""

    id: UUID
    fingerprint: str
    public_key: str
    sealed_key: bytes
    created_at: datetime


async def lock(tx: Transaction, account_id: UUID) -> None:
    """One at a time makes the keys of an account."""
    await tx.driver.execute(_LOCK, f"pgp {account_id}")


async def of_account(tx: Transaction, account_id: UUID) -> list[PgpKey]:
    """The account's keys, newest first: the newest is given to clients, the others still open what was sent."""
    return [PgpKey(**dict(row)) for row in await tx.driver.fetch(_OF, account_id)]


async def add(
    tx: Transaction, account_id: UUID, key_id: UUID, fingerprint: str, public_key: str, sealed: bytes
) -> PgpKey:
    """Writes a new key pair."""
    row = await tx.driver.fetchrow(_ADD, account_id, key_id, fingerprint, public_key, sealed)
    return PgpKey(**dict(row))
