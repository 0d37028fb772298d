"""ingest.storage.imports: imports in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record
from mailmaker.common.storage.transaction import Transaction
from mailmaker.ingest.domain.fields import Field
from mailmaker.ingest.domain.findings import Finding
from mailmaker.ingest.domain.imports import Import, ListFacts, Reading, Source, State, Upload
from mailmaker.ingest.domain.options import Options

_COLUMNS = """account_id, id, options, about_list, file_name, size, sha256, line_ends, not_utf8_at, state, error_code,
    error_detail, counts, done, total, reading, attempts, crashes, created_at, updated_at, version, source, sent_by,
    (SELECT e.id FROM imports e WHERE e.account_id = imports.account_id AND e.list_id = imports.list_id
        AND e.sha256 = imports.sha256 AND e.id < imports.id ORDER BY e.id DESC LIMIT 1) AS same_as"""
_ADD = f"""
INSERT INTO imports (account_id, id, list_id, options, about_list, file_name, size, sha256, line_ends, not_utf8_at,
       state, total, created_at, updated_at, source, sent_by)
VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6, $7, $8, $9, $10, 'received', $11, $12, $12, $13::jsonb, $14)
RETURNING {_COLUMNS}
"""
_ONE = f"SELECT {_COLUMNS} FROM imports WHERE account_id = $1 AND id = $2"
_LOCKED = f"{_ONE} FOR UPDATE"
_PAGE = f"""
SELECT {_COLUMNS} FROM imports
 WHERE account_id = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::uuid IS NULL OR list_id = $3)
   AND ($4::uuid[] IS NULL OR list_id = ANY ($4)) ORDER BY id DESC LIMIT $5
"""
_STATE = f"""
UPDATE imports SET state = $3, error_code = $4, error_detail = $5, lease = NULL, lease_until = NULL,
       version = version + 1, updated_at = clock_timestamp()
 WHERE account_id = $1 AND id = $2 RETURNING {_COLUMNS}
"""
_HEARD = f"""
UPDATE imports SET state = $3, counts = counts || $4::jsonb, done = $5, total = $6, error_code = $7, error_detail = $8,
       reading = CASE WHEN $10 THEN reading || '{{"held": true}}' ELSE reading END, heard_at = $9, version = version + 1,
       updated_at = clock_timestamp()
 WHERE account_id = $1 AND id = $2 AND (heard_at IS NULL OR heard_at < $9) RETURNING {_COLUMNS}
"""
# Of the list's last file that was applied, as far as contacts says that it keeps the digests of lines; a file in which a key
# came twice is to be read whole each time.
_HELD_SEED = """
SELECT CASE WHEN counts ->> 'duplicate' = '0' AND reading @> '{"held": true}' THEN (reading ->> 'seed')::numeric END AS seed
  FROM imports WHERE account_id = $1 AND list_id = $2 AND state = 'applied' AND options ->> 'mode' <> 'opt_out'
 ORDER BY id DESC LIMIT 1
"""
_READ = "UPDATE imports SET counts = counts || $3::jsonb WHERE account_id = $1 AND id = $2"
_HOLD = "SELECT set_config('idle_in_transaction_session_timeout', $1, true)"
_UNFINISHED = """
SELECT id FROM imports WHERE id = ANY ($1::uuid[]) AND state IN ('received', 'parsing', 'staged', 'planned', 'quarantined')
"""
_OF_ANY = f"SELECT {_COLUMNS} FROM imports WHERE id = $1"


async def add(tx: Transaction, account_id: UUID, import_id: UUID, options: Options, about: ListFacts, upload: Upload,
              at: datetime, sent_by: UUID | None) -> Import:  # fmt: skip
    """Writes an import that waits to be read. Its total is an estimate until then: the line ends, less the header."""
    row = await tx.driver.fetchrow(
        _ADD, account_id, import_id, options.list_id, json.dumps(options.as_json()), json.dumps(asdict(about)),
        upload.name, upload.size, upload.sha256, upload.line_ends, upload.not_utf8_at, max(upload.line_ends - 1, 0), at,
        json.dumps(asdict(upload.source)), sent_by,
    )  # fmt: skip
    return _import(row)


async def one(tx: Transaction, account_id: UUID, import_id: UUID, *, lock: bool = False) -> Import | None:
    """An import of the account."""
    row = await tx.driver.fetchrow(_LOCKED if lock else _ONE, account_id, import_id)
    return None if row is None else _import(row)


async def of_any_account(tx: Transaction, import_id: UUID) -> Import | None:
    """An import by its id alone: for internal doors, in a platform transaction."""
    row = await tx.driver.fetchrow(_OF_ANY, import_id)
    return None if row is None else _import(row)


async def unfinished(tx: Transaction, ids: Sequence[UUID]) -> set[UUID]:
    """Those whose files are still needed. In a platform transaction."""
    return {row["id"] for row in await tx.driver.fetch(_UNFINISHED, list(ids))}


async def page(
    tx: Transaction,
    account_id: UUID,
    before: UUID | None,
    list_id: UUID | None,
    allowed: frozenset[UUID] | None,
    limit: int,
) -> list[Import]:
    """Imports, newest first."""
    lists = None if allowed is None else list(allowed)
    rows = await tx.driver.fetch(_PAGE, account_id, before, list_id, lists, limit)
    return [_import(row) for row in rows]


async def set_state(
    tx: Transaction, of: Import, state: State, code: str | None = None, detail: str | None = None
) -> Import:
    """Moves an import; whoever was reading it has lost its lease."""
    return _import(await tx.driver.fetchrow(_STATE, of.account_id, of.id, state, code, detail))


async def held_seed(tx: Transaction, account_id: UUID, list_id: UUID) -> int | None:
    """The seed of the lines that the list holds."""
    found = await tx.driver.fetchval(_HELD_SEED, account_id, list_id)
    return None if found is None else int(found)


async def hold(tx: Transaction, account_id: UUID, import_id: UUID, seconds: float) -> Import | None:
    """An import of the account, locked for longer than a transaction commonly waits for us."""
    await tx.driver.execute(_HOLD, f"{seconds:.0f}s")
    return await one(tx, account_id, import_id, lock=True)


async def has_read(tx: Transaction, of: Import, counts: dict[str, int]) -> None:
    """Of a file that was told by its lines, those that contacts wanted are read."""
    await tx.driver.execute(_READ, of.account_id, of.id, json.dumps(counts))


async def heard(
    tx: Transaction, of: Import, state: State, counts: dict[str, int], done: int, total: int,
    error: tuple[str | None, str | None], at: datetime, *, holds_lines: bool,
) -> Import | None:  # fmt: skip
    """Writes contacts' word unless a later one is there (None)."""
    row = await tx.driver.fetchrow(
        _HEARD, of.account_id, of.id, state, json.dumps(counts), done, total, *error, at, holds_lines
    )
    return None if row is None else _import(row)


def _import(row: Record) -> Import:
    about: dict[str, Any] = row["about_list"]
    custom = tuple(Field(**{**one, "values": tuple(one["values"])}) for one in about["custom"])
    reading: dict[str, Any] = row["reading"]
    return Import(
        account_id=row["account_id"],
        id=row["id"],
        options=Options.from_json(row["options"]),
        upload=Upload(
            row["file_name"],
            row["size"],
            bytes(row["sha256"]),
            row["line_ends"],
            row["not_utf8_at"],
            Source(**row["source"]),
        ),
        about=ListFacts(about["key"], about["country"], custom),
        state=State(row["state"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        error_code=row["error_code"],
        error_detail=row["error_detail"],
        counts=row["counts"],
        done=row["done"],
        total=row["total"],
        reading=Reading(
            reading.get("encoding", ""),
            reading.get("delimiter", ""),
            tuple(reading.get("fields", ())),
            tuple(reading.get("ignored", ())),
            tuple(Finding.from_json(one) for one in reading.get("findings", ())),
            reading.get("seed", 0),
            reading.get("by_line", False),
        ),
        attempts=row["attempts"],
        crashes=row["crashes"],
        version=row["version"],
        sent_by=row["sent_by"],
        same_as=row["same_as"],
    )


read_row = _import
COLUMNS = _COLUMNS
