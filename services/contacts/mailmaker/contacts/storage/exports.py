"""contacts.storage.exports: exports and the bytes of their files.

The bytes lie in the database and not on a disk: they appear with the commit that says `ready`, every process can give
them out, and what an erasure or their last day takes away is gone everywhere at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.exports import Export, ExportState, ExportWish

COLUMNS = """
    account_id, id, list_id, wish::text AS wish, state, done, total, round, attempts, size, error_code, error_detail,
    created_at, ready_at, expires_at
"""
INSERT = """
INSERT INTO exports (account_id, id, list_id, wish, state, created_at, due_at) VALUES ($1, $2, $3, $4::jsonb, $5, $6, $6)
"""
ONE = f"SELECT {COLUMNS} FROM exports WHERE account_id = $1 AND list_id IS NOT DISTINCT FROM $2::uuid AND id = $3"
AFTER = (
    f"SELECT {COLUMNS} FROM exports WHERE account_id = $1 AND list_id = $2 AND id > $3 ORDER BY id LIMIT $4"
)
WAITING = "SELECT count(*) FROM exports WHERE account_id = $1 AND state IN ('waiting', 'running')"
DUE = """
SELECT account_id, id FROM exports WHERE state IN ('waiting', 'running') AND due_at <= clock_timestamp()
 ORDER BY due_at LIMIT 20
"""
# Transaction-scoped: a process that is stopped or killed lets go of it.
TAKE = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 13))"
BEGIN = f"""
UPDATE exports SET state = 'running', done = 0, total = 0, attempts = attempts + 1
 WHERE account_id = $1 AND id = $2 AND state IN ('waiting', 'running') RETURNING {COLUMNS}
"""
PROGRESS = """
UPDATE exports SET done = $4::bigint, total = greatest($5::bigint, $4::bigint)
 WHERE account_id = $1 AND id = $2 AND round = $3 AND state = 'running'
"""
ADD_CHUNK = "INSERT INTO export_chunks (account_id, export_id, place, data) VALUES ($1, $2, $3, $4)"
SETTLE = """
UPDATE exports SET state = $4, done = $5, total = $5, size = $6, error_code = $7, error_detail = $8, ready_at = $9,
       expires_at = $10
 WHERE account_id = $1 AND id = $2 AND round = $3 AND state = 'running'
"""
AGAIN = """
UPDATE exports SET state = 'waiting', due_at = clock_timestamp() + make_interval(secs => $3),
       attempts = attempts - CASE WHEN $4 THEN 0 ELSE 1 END
 WHERE account_id = $1 AND id = $2 AND state = 'running' RETURNING attempts
"""
# One statement decides for the file that is there and for the one being made, whichever commit comes first.
TAKE_BACK = """
UPDATE exports SET round = round + 1, attempts = 0,
       state = CASE WHEN state = 'ready' OR $5 THEN 'removed' ELSE state END,
       error_code = CASE WHEN state = 'ready' OR $5 THEN $3 END,
       error_detail = CASE WHEN state = 'ready' OR $5 THEN $4 END
 WHERE account_id = $1 AND (list_id = $2 OR $7 AND list_id IS NULL) AND ($6::uuid IS NULL OR id = $6)
   AND state IN ('waiting', 'running', 'ready')
RETURNING id
"""
FORGET_CHUNKS = "DELETE FROM export_chunks WHERE account_id = $1 AND export_id = ANY($2::uuid[])"
CHUNK = "SELECT data FROM export_chunks WHERE account_id = $1 AND export_id = $2 AND place = $3"
OVER = "SELECT account_id, id FROM exports WHERE state = 'ready' AND expires_at <= $1 ORDER BY expires_at LIMIT $2"
EXPIRE = "UPDATE exports SET state = 'expired' WHERE account_id = $1 AND id = $2 AND state = 'ready'"


def export_of(row: Any) -> Export:
    wish = json.loads(row["wish"])
    segment = wish["segment"]
    return Export(
        row["account_id"],
        row["id"],
        row["list_id"],
        ExportWish(
            **{
                **wish,
                "columns": tuple(wish["columns"]),
                "segment": None if segment is None else UUID(segment),
            }
        ),
        ExportState(row["state"]),
        row["done"],
        row["total"],
        row["round"],
        row["attempts"],
        row["size"],
        None if row["error_code"] is None else (row["error_code"], row["error_detail"]),
        row["created_at"],
        row["ready_at"],
        row["expires_at"],
    )


async def insert(tx: Transaction, it: Export) -> None:
    wish = json.dumps(asdict(it.wish), default=str)
    await tx.driver.execute(INSERT, it.account_id, it.id, it.list_id, wish, str(it.state), it.created_at)


async def one(tx: Transaction, account_id: UUID, list_id: UUID | None, export_id: UUID) -> Export | None:
    row = await tx.driver.fetchrow(ONE, account_id, list_id, export_id)
    return None if row is None else export_of(row)


async def after(
    tx: Transaction, account_id: UUID, list_id: UUID, export_id: UUID, limit: int
) -> list[Export]:
    return [export_of(row) for row in await tx.driver.fetch(AFTER, account_id, list_id, export_id, limit)]


async def waiting(tx: Transaction, account_id: UUID) -> int:
    """Exports of an account that are not ready yet."""
    return int(await tx.driver.fetchval(WAITING, account_id))


async def due(tx: Transaction) -> list[tuple[UUID, UUID]]:
    """Exports of every account that somebody should work on, the longest waiting first."""
    return [(row["account_id"], row["id"]) for row in await tx.driver.fetch(DUE)]


async def take(tx: Transaction, export_id: UUID) -> bool:
    """Whether this transaction alone works on an export, until it ends."""
    return bool(await tx.driver.fetchval(TAKE, f"export {export_id}"))


async def begin(tx: Transaction, account_id: UUID, export_id: UUID) -> Export | None:
    """Counts an attempt. None: it was removed, or is done."""
    row = await tx.driver.fetchrow(BEGIN, account_id, export_id)
    return None if row is None else export_of(row)


async def progress(tx: Transaction, it: Export, done: int, total: int) -> None:
    await tx.driver.execute(PROGRESS, it.account_id, it.id, it.round, done, total)


async def add_chunk(tx: Transaction, it: Export, place: int, data: bytes) -> None:
    await tx.driver.execute(ADD_CHUNK, it.account_id, it.id, place, data)


async def ready(tx: Transaction, it: Export, rows: int, size: int, at: datetime, until: datetime) -> bool:
    """False: what was read may not be given out any more; nothing of it may be committed."""
    told = await tx.driver.execute(
        SETTLE, it.account_id, it.id, it.round, "ready", rows, size, None, None, at, until
    )
    return bool(told.endswith(" 1"))


async def fail(tx: Transaction, it: Export, error: tuple[str, str]) -> None:
    await tx.driver.execute(
        SETTLE, it.account_id, it.id, it.round, "failed", it.done, None, *error, None, None
    )


async def again(
    tx: Transaction, account_id: UUID, export_id: UUID, pause: float, *, counted: bool
) -> int | None:
    """Puts an export off. Returns how often it has been tried; None when it is over."""
    found: int | None = await tx.driver.fetchval(AGAIN, account_id, export_id, pause, counted)
    return found


async def take_back(
    tx: Transaction,
    account_id: UUID,
    list_id: UUID,
    error: tuple[str, str],
    *,
    only: UUID | None = None,
    for_good: bool = False,
    account: bool = False,
) -> list[UUID]:
    """Removes a list's files, or one; with `account` those of the whole account too. What is being made begins again, or
    with `for_good` is removed too."""
    rows = await tx.driver.fetch(TAKE_BACK, account_id, list_id, *error, for_good, only, account)
    ids = [row["id"] for row in rows]
    if ids:
        await tx.driver.execute(FORGET_CHUNKS, account_id, ids, timeout=600)
    return ids


async def stay(tx: Transaction) -> None:
    """A word in a transaction that waits for something else."""
    await tx.driver.execute("SELECT 1")


async def chunk(tx: Transaction, account_id: UUID, export_id: UUID, place: int) -> bytes | None:
    found: bytes | None = await tx.driver.fetchval(CHUNK, account_id, export_id, place)
    return found


async def over(tx: Transaction, now: datetime, limit: int) -> Sequence[tuple[UUID, UUID]]:
    """Files of every account whose last day has passed."""
    return [(row["account_id"], row["id"]) for row in await tx.driver.fetch(OVER, now, limit)]


async def expire(tx: Transaction, account_id: UUID, export_id: UUID) -> None:
    await tx.driver.execute(EXPIRE, account_id, export_id)
    await tx.driver.execute(FORGET_CHUNKS, account_id, [export_id], timeout=600)
