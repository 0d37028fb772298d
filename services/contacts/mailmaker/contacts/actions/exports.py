"""contacts.actions.exports: takes the wish for an export, shows how it goes on, gives out its file, takes it away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import NOBODY, new_id
from mailmaker.common.storage.keyset import Page, decode_cursor, encode_cursor
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.export_shapes import ExportAsked, ExportView
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.segments import kept_rule
from mailmaker.contacts.domain.exports import (
    MOST_WAITING,
    Export,
    ExportState,
    ExportWish,
    column_faults,
    default_columns,
)
from mailmaker.contacts.domain.lists import ContactList
from mailmaker.contacts.errors import NoExportFile, NoSuchThing, TooManyExports, wrong_fields
from mailmaker.contacts.storage import accounts, exports, lists, segments

ERASED = (
    "export.erasure",
    "a person of the list was erased and the file may name them; ask for a new export",
)
CLOSED = ("export.list_closed", "the list was closed")
ASKED = ("export.removed", "the file was removed on request")


async def ask_export(house: Contacts, call: Call, list_id: UUID, asked: ExportAsked) -> ExportView:
    """Puts an export into the queue. Raises WrongFields, BrokenSegment, TooManyExports."""
    async with house.db.write(call, "export.asked") as tx:
        if (first := tx.replayed(ExportView)) is not None:
            return first
        # The account's row is the lock that makes counting and adding one step.
        await accounts.account(tx, call.account_id, lock=True)
        of = await _list(tx, call, list_id)
        if faults := column_faults(asked.columns or (), of):
            raise wrong_fields(faults)
        wish = await _wish(tx, call, of, asked)
        if await exports.waiting(tx, call.account_id) >= MOST_WAITING:
            raise TooManyExports(
                f"{MOST_WAITING} exports of the account wait already; try again when one is ready"
            )
        it = Export(
            call.account_id,
            new_id(),
            list_id,
            replace(wish, columns=wish.columns or default_columns(of)),
            ExportState.WAITING,
            done=0,
            total=0,
            round=1,
            attempts=0,
            size=None,
            error=None,
            created_at=house.clock.now(),
            ready_at=None,
            expires_at=None,
        )
        await exports.insert(tx, it)
        tx.subject(it.id)
        answer = await tx.keep(ExportView.of(it))
    house.export_waits.set()
    return answer


async def see_export(house: Contacts, call: Call, list_id: UUID, export_id: UUID) -> ExportView:
    return ExportView.of(await _export(house, call, list_id, export_id))


async def see_exports(
    house: Contacts, call: Call, list_id: UUID, limit: int, cursor: str | None
) -> Page[ExportView]:
    """A list's exports, oldest first."""
    after = UUID(str(decode_cursor(cursor)[0])) if cursor else NOBODY
    async with house.db.account(call.account_id) as tx:
        await _list(tx, call, list_id)
        found = await exports.after(tx, call.account_id, list_id, after, limit + 1)
    more = encode_cursor(str(found[limit - 1].id)) if len(found) > limit else None
    return Page(items=[ExportView.of(it) for it in found[:limit]], next=more)


async def export_file(
    house: Contacts, call: Call, list_id: UUID, export_id: UUID
) -> tuple[Export, AsyncIterator[bytes]]:
    """A finished export and the bytes of its file. Raises NoExportFile when there is none."""
    it = await _export(house, call, list_id, export_id)
    if it.state is not ExportState.READY:
        why = it.error[1] if it.error else "there is no file"
        raise NoExportFile(f"the export is {it.state}: {why}")
    return it, bytes_of(house, it)


async def remove_export(house: Contacts, call: Call, list_id: UUID, export_id: UUID) -> None:
    """Takes an export's file away, or stops its making. Nothing happens to one that is over."""
    async with house.db.write(call, "export.removed") as tx:
        if await exports.one(tx, call.account_id, list_id, export_id) is None:
            raise NoSuchThing("no such export")
        await exports.take_back(tx, call.account_id, list_id, ASKED, only=export_id, for_good=True)
        tx.subject(export_id)


async def bytes_of(house: Contacts, it: Export) -> AsyncIterator[bytes]:
    """A short transaction a piece: a slow client holds no connection. Breaks off when the file is taken away."""
    sent = place = 0
    while it.size is not None and sent < it.size:
        async with house.db.account(it.account_id) as tx:
            piece = await exports.chunk(tx, it.account_id, it.id, place)
        if piece is None:
            raise NoExportFile("the file was removed while it was being sent")
        sent, place = sent + len(piece), place + 1
        yield piece


async def _wish(tx: Transaction, call: Call, of: ContactList, asked: ExportAsked) -> ExportWish:
    if asked.segment is None:
        return asked.wish(None)
    it = await segments.one(tx, call.account_id, of.id, asked.segment)
    if it is None:
        raise wrong_fields([("/segment", "segment.unknown", "the list has no such segment")])
    kept_rule(it, of)
    return asked.wish(it.version)


async def _list(tx: Transaction, call: Call, list_id: UUID) -> ContactList:
    of = await lists.one(tx, call.account_id, list_id)
    if of is None or of.closed:
        raise NoSuchThing("no such list")
    return of


async def _export(house: Contacts, call: Call, list_id: UUID, export_id: UUID) -> Export:
    async with house.db.account(call.account_id) as tx:
        it = await exports.one(tx, call.account_id, list_id, export_id)
    if it is None:
        raise NoSuchThing("no such export")
    return it
