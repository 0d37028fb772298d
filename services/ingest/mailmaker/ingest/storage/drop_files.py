"""ingest.storage.drop_files: the files that were taken from drops, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record
from mailmaker.common.storage.ids import new_id
from mailmaker.common.storage.transaction import Transaction
from mailmaker.ingest.domain.drops import Drop, Lying, Taken, TakenState

_COLUMNS = """account_id, drop_id, id, name, size, inode, modified_ns, state, taken_at, import_id, error_code,
    error_detail, archived, told"""
_TAKE = f"""
INSERT INTO drop_files (account_id, drop_id, id, name, size, inode, modified_ns, state, taken_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'taking', clock_timestamp())
ON CONFLICT (account_id, drop_id, name, inode, size, modified_ns) WHERE state = 'taking'
DO UPDATE SET state = 'taking' RETURNING {_COLUMNS}
"""
_UNENDED = """
SELECT f.account_id, f.drop_id, f.id, f.name, f.size, f.inode, f.modified_ns, f.state, f.taken_at, f.import_id,
       f.error_code, f.error_detail, f.archived, f.told, i.state AS import_state
  FROM drop_files f LEFT JOIN imports i ON i.account_id = f.account_id AND i.id = f.import_id
 WHERE NOT f.archived OR f.told IS DISTINCT FROM 'ended' ORDER BY f.id
"""
_RECEIVED = """
UPDATE drop_files SET state = 'received', import_id = $4
 WHERE account_id = $1 AND drop_id = $2 AND id = $3 AND state = 'taking'
"""
_REJECTED = """
UPDATE drop_files SET state = 'rejected', error_code = $4, error_detail = $5
 WHERE account_id = $1 AND drop_id = $2 AND id = $3 AND state = 'taking'
"""
_VOID = "DELETE FROM drop_files WHERE account_id = $1 AND drop_id = $2 AND id = $3 AND state = 'taking'"
_ARCHIVED = "UPDATE drop_files SET archived = true WHERE account_id = $1 AND drop_id = $2 AND id = $3"
_TOLD = "UPDATE drop_files SET told = $4 WHERE account_id = $1 AND drop_id = $2 AND id = $3"
_PAGE = f"""
SELECT {_COLUMNS} FROM drop_files WHERE account_id = $1 AND drop_id = $2 AND ($3::uuid IS NULL OR id < $3)
 ORDER BY id DESC LIMIT $4
"""
_PRUNE = """
DELETE FROM drop_files WHERE account_id = $1 AND drop_id = $2 AND archived AND told = 'ended'
   AND taken_at < clock_timestamp() - make_interval(secs => $3)
"""


# Ended files that came before somebody was erased from the list that they, or where no import was made their drop's
# rules, are about.
_ERASED = f"""
SELECT {", ".join("f." + name.strip() for name in _COLUMNS.split(","))}
  FROM drop_files f JOIN drops d ON d.account_id = f.account_id AND d.id = f.drop_id
       LEFT JOIN imports i ON i.account_id = f.account_id AND i.id = f.import_id
 WHERE f.account_id = $1 AND f.drop_id = $2 AND f.archived AND f.told = 'ended' AND NOT f.forgotten AND EXISTS (
       SELECT FROM erasures e WHERE e.account_id = f.account_id AND f.taken_at <= e.at
          AND CASE WHEN i.id IS NULL THEN strpos(d.rules::text, e.list_id::text) > 0 ELSE i.list_id = e.list_id END)
"""
_FORGOTTEN = (
    "UPDATE drop_files SET forgotten = true WHERE account_id = $1 AND drop_id = $2 AND id = ANY($3::uuid[])"
)


async def take(tx: Transaction, drop: Drop, one: Lying) -> Taken:
    """The row of a file that is about to be taken: the one that an earlier attempt left, or a new one."""
    key = (drop.account_id, drop.id, new_id(), one.name, one.size, one.inode, one.modified_ns)
    return _taken(await tx.driver.fetchrow(_TAKE, *key))


async def unended(tx: Transaction) -> list[tuple[Taken, str | None]]:
    """The files of all drops with which something is still to be done, oldest first, each with its import's state.
    In a platform transaction."""
    return [(_taken(row), row["import_state"]) for row in await tx.driver.fetch(_UNENDED)]


async def received(tx: Transaction, taken: Taken, import_id: UUID) -> bool:
    """An import was made of it, in this transaction. False: of this file one was made before."""
    said = await tx.driver.execute(_RECEIVED, *_key(taken), import_id)
    return bool(said.endswith("1"))


async def rejected(tx: Transaction, taken: Taken, code: str, detail: str) -> bool:
    """No import is made of it. False: that was decided before, some way."""
    said = await tx.driver.execute(_REJECTED, *_key(taken), code, detail)
    return bool(said.endswith("1"))


async def void(tx: Transaction, taken: Taken) -> None:
    """It was not taken after all."""
    await tx.driver.execute(_VOID, *_key(taken))


async def archived(tx: Transaction, taken: Taken) -> None:
    """Its client finds it in done/ or rejected/."""
    await tx.driver.execute(_ARCHIVED, *_key(taken))


async def told(tx: Transaction, taken: Taken, what: str) -> None:
    """Its client finds a result: `quarantined`, or `ended`."""
    await tx.driver.execute(_TOLD, *_key(taken), what)


async def page(
    tx: Transaction, account_id: UUID, drop_id: UUID, before: UUID | None, limit: int
) -> list[Taken]:
    """A drop's files, newest first."""
    return [_taken(row) for row in await tx.driver.fetch(_PAGE, account_id, drop_id, before, limit)]


async def erased(tx: Transaction, drop: Drop) -> list[Taken]:
    """Files of which nothing may be kept any more: somebody they may name was erased."""
    return [_taken(row) for row in await tx.driver.fetch(_ERASED, drop.account_id, drop.id)]


async def forgotten(tx: Transaction, drop: Drop, files: Sequence[Taken]) -> None:
    """Nothing of these is kept."""
    await tx.driver.execute(_FORGOTTEN, drop.account_id, drop.id, [taken.id for taken in files])


async def prune(tx: Transaction, drop: Drop, seconds: float) -> None:
    """Forgets files that ended longer ago."""
    await tx.driver.execute(_PRUNE, drop.account_id, drop.id, seconds)


def _key(taken: Taken) -> tuple[UUID, UUID, UUID]:
    return taken.account_id, taken.drop_id, taken.id


def _taken(row: Record) -> Taken:
    found = {name: value for name, value in row.items() if name != "import_state"}
    return Taken(**{**found, "state": TakenState(row["state"])})
