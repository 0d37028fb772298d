"""ingest.actions.show: imports as they stand, their rejects, and the staged rows for contacts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.keyset import Page, decode_cursor, encode_cursor
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.ingest.actions.views import ImportView, view
from mailmaker.ingest.domain.imports import Import, State
from mailmaker.ingest.errors import NoRejects, UnknownImport
from mailmaker.ingest.storage import imports as store
from mailmaker.ingest.storage.files import Files

PULLABLE = frozenset((State.STAGED, State.PLANNED, State.QUARANTINED))


def allowed(call: Call, of: Import | None) -> Import:
    """The import, if it is this account's and the key may see its list. Raises UnknownImport."""
    if of is None or (call.list_ids is not None and of.options.list_id not in call.list_ids):
        raise UnknownImport("no such import")
    return of


async def show_import(db: Database, call: Call, import_id: UUID) -> ImportView:
    """One import."""
    async with db.account(call.account_id) as tx:
        return view(allowed(call, await store.one(tx, call.account_id, import_id)))


async def list_imports(
    db: Database, call: Call, *, list_id: UUID | None, cursor: str | None, limit: int
) -> Page[ImportView]:
    """Imports, newest first."""
    before = position(cursor)
    async with db.account(call.account_id) as tx:
        found = await store.page(tx, call.account_id, before, list_id, call.list_ids, limit + 1)
    more = len(found) > limit
    found = found[:limit]
    return Page[ImportView](
        items=[view(of) for of in found], next=encode_cursor(str(found[-1].id)) if more else None
    )


async def rejects_file(db: Database, files: Files, call: Call, import_id: UUID) -> Path:
    """Where the rejects of an import are. Raises UnknownImport, NoRejects."""
    async with db.account(call.account_id) as tx:
        of = allowed(call, await store.one(tx, call.account_id, import_id))
    path = files.rejects(import_id)
    if not of.has_rejects:
        raise NoRejects("the file has not been read to its end")
    if not path.exists():
        raise NoRejects("the refused rows are not kept any more; send the file again")
    return path


async def lines_file(db: Database, files: Files, import_id: UUID) -> Path:
    """Where the lines of an import are, while contacts may want them. Raises UnknownImport."""
    return await _pulled(db, import_id, files.lines(import_id))


async def staged_file(db: Database, files: Files, import_id: UUID) -> Path:
    """Where the staged rows of an import are, while contacts may want them. Raises UnknownImport."""
    return await _pulled(db, import_id, files.staged(import_id))


async def _pulled(db: Database, import_id: UUID, path: Path) -> Path:
    async with db.platform() as tx:
        of = await store.of_any_account(tx, import_id)
    if of is None or of.state not in PULLABLE or not await asyncio.to_thread(path.exists):
        raise UnknownImport("no staged rows of such an import")
    return path


def position(cursor: str | None) -> UUID | None:
    """Where the last page ended. Raises Invalid for a cursor that is not ours."""
    if cursor is None:
        return None
    try:
        return UUID(str(decode_cursor(cursor)[0]))
    except (ValueError, IndexError) as wrong:
        fault = Fault("/cursor", "cursor.unknown", "begin without a cursor")
        raise Invalid("the cursor is not one of ours", faults=[fault]) from wrong
