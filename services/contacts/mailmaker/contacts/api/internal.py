"""contacts.api.internal: what other houses ask: keys, accounts, lists, whose contact an id is, audiences."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from mailmaker.common.contracts.internal import AccountRow, ContactRow, KeyRow, KeysPage, ListRow, SegmentRow
from mailmaker.common.web.auth import internal_only
from mailmaker.contacts.actions import see_contacts, segments, stream_audience, whose_contact
from mailmaker.contacts.actions.hear_imports import approve
from mailmaker.contacts.actions.keys import OwnKeys
from mailmaker.contacts.actions.undo_import import ask_undo
from mailmaker.contacts.api.doors import House
from mailmaker.contacts.errors import NoSuchThing

router = APIRouter(include_in_schema=False, dependencies=[Depends(internal_only)])
_HASH = re.compile(r"[0-9a-f]{64}\Z")


@router.get("/internal/keys")
async def keys(house: House, after: Annotated[int, Query(ge=0)] = 0) -> KeysPage:
    """Accounts and keys that changed after a version, in its order; `more` asks for the next page at once."""
    return await OwnKeys(house.db).changes(after)


@router.get("/internal/keys/{secret_hash}")
async def key(house: House, secret_hash: str) -> KeyRow:
    """One key by the SHA-256 of its secret: another house has met it before hearing of it."""
    found = await OwnKeys(house.db).key(secret_hash) if _HASH.match(secret_hash) else None
    if found is None:
        raise NoSuchThing("no such key")
    return found


@router.get("/internal/accounts/{id_or_number}")
async def account(house: House, id_or_number: str) -> AccountRow:
    """One account by its id or its number."""
    found = await OwnKeys(house.db).account(id_or_number)
    if found is None:
        raise NoSuchThing("no such account")
    return found


@router.get("/internal/lists/{list_id}")
async def a_list(house: House, list_id: UUID) -> ListRow:
    """One list, closed ones too."""
    found = await see_contacts.list_row(house, list_id)
    if found is None:
        raise NoSuchThing("no such list")
    return found


@router.get("/internal/segments/{segment_id}")
async def segment(house: House, segment_id: UUID) -> SegmentRow:
    """One segment as it is now, retired ones too."""
    found = await segments.segment_row(house, segment_id)
    if found is None:
        raise NoSuchThing("no such segment")
    return found


@router.get("/internal/contacts/{contact_id}")
async def contact(house: House, contact_id: UUID) -> ContactRow:
    """Whose contact an id is, by keys: what a token's door asks."""
    found = await whose_contact.contact_row(house, contact_id)
    if found is None:
        raise NoSuchThing("no such contact")
    return found


@router.get("/internal/audience")
async def audience(
    house: House,
    account: UUID,
    channel: Literal["email", "sms"],
    lists: Annotated[list[UUID], Query(alias="list")],
    mailing: UUID | None = None,
    fields: str = "",
    segment: UUID | None = None,
    segment_version: int | None = None,
) -> StreamingResponse:
    """The contacts of lists that have an address on the channel, in one snapshot, as CSV in COPY's dialect:
    list_position, list_id, contact_id, fkey, address, address_key, consent, merge. A broken stream is worth nothing.
    With a segment, those whom the rule means that it had at that version."""
    names = [name for name in fields.split(",") if name]
    rule = await stream_audience.narrowed(house, account, lists, segment, segment_version)
    chunks = stream_audience.stream_audience(house, account, channel, lists, names, rule)
    return StreamingResponse(chunks, media_type="text/csv; charset=utf-8")


@router.post("/internal/accounts/{account_id}/imports/{import_id}:approve", status_code=204)
async def approve_import(house: House, account_id: UUID, import_id: UUID) -> None:
    """ingest heard its client approve a plan."""
    if not await approve(house, account_id, import_id):
        raise NoSuchThing("no import waits for approval")


@router.post("/internal/accounts/{account_id}/imports/{import_id}:undo", status_code=204)
async def undo_import(house: House, account_id: UUID, import_id: UUID) -> None:
    """ingest heard its client take an applied import back."""
    if not await ask_undo(house, account_id, import_id):
        raise NoSuchThing("no such import is applied")
