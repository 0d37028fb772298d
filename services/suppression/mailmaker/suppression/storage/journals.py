"""suppression.storage.journals: who vouches that it holds no "no" without a number, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction

_CLOCK = "SELECT clock_timestamp()"
_TOUCH = """
INSERT INTO journals (id, host, pid, started_at, touched_at) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (id) DO UPDATE
   SET host = excluded.host, pid = excluded.pid, touched_at = greatest(journals.touched_at, excluded.touched_at)
"""
_ALL = "SELECT id, host, pid, started_at, touched_at FROM journals ORDER BY touched_at"


@dataclass(frozen=True, slots=True)
class Vouching:
    """One journal's row."""

    id: UUID
    host: str
    pid: int
    started_at: datetime
    touched_at: datetime


async def clock(tx: Transaction) -> datetime:
    """PostgreSQL's clock: the only one vouching is measured by."""
    now: datetime = await tx.driver.fetchval(_CLOCK)
    return now


async def touch(tx: Transaction, id: UUID, host: str, pid: int, at: datetime) -> None:
    """This journal was empty at some instant after `at`."""
    await tx.driver.execute(_TOUCH, id, host, pid, at)


async def leave(tx: Transaction, id: UUID) -> bool:
    """The journal is empty for ever. False: it had no row."""
    done = await tx.driver.execute("DELETE FROM journals WHERE id = $1", id)
    return bool(done.endswith("1"))


async def everyone(tx: Transaction) -> list[Vouching]:
    """Every journal, the one that vouches for least first."""
    return [Vouching(*row) for row in await tx.driver.fetch(_ALL)]
