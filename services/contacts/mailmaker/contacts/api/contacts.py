"""contacts.api.contacts: contacts of a list, one or a thousand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from mailmaker.common.storage.keyset import Page
from mailmaker.common.web.auth import check_list, may
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions import (
    contacts,
    erase_contact,
    merge_contacts,
    search_contacts,
    see_contacts,
    see_history,
)
from mailmaker.contacts.actions.contact_shapes import (
    BatchView,
    BatchWish,
    ContactView,
    ContactWish,
    MergeView,
    MergeWish,
    UpsertView,
)
from mailmaker.contacts.actions.history_shapes import HistoryView
from mailmaker.contacts.actions.search_contacts import Search
from mailmaker.contacts.api.doors import House, Limit, Version, etag

router = APIRouter(tags=["contacts"])
Read = Annotated[Call, may("contacts:read")]
Write = Annotated[Call, may("contacts:write")]
Text = Annotated[str | None, Query(max_length=320, pattern=r"^[^\x00]*$")]


@router.put("/v1/lists/{list_id}/contacts")
async def upsert(
    house: House, call: Write, list_id: UUID, wish: ContactWish, response: Response
) -> UpsertView:
    """Writes one contact by the list's key: 201 when it is new, else 200 with what changed. No consent is raised."""
    check_list(call, list_id)
    view = await contacts.upsert(house, call, list_id, wish)
    response.status_code = 201 if view.result == "created" else 200
    etag(response, view.contact.version)
    return view


@router.post("/v1/lists/{list_id}/contacts:batch")
async def batch(house: House, call: Write, list_id: UUID, wish: BatchWish) -> BatchView:
    """Writes or removes up to 1,000 contacts in one transaction; one result an item."""
    check_list(call, list_id)
    return await contacts.write_batch(house, call, list_id, wish)


@router.get("/v1/lists/{list_id}/contacts")
async def search(
    house: House,
    call: Read,
    list_id: UUID,
    email: Text = None,
    mobile: Text = None,
    fkey: Text = None,
    q: Text = None,
    consent: Text = None,
    changed_since: datetime | None = None,
    segment: UUID | None = None,
    sort: Annotated[str, Query(max_length=20)] = "key",
    limit: Limit = 100,
    cursor: str | None = None,
) -> Page[ContactView]:
    """Contacts of a list. `q` looks anywhere in addresses, names and the client's key. `consent` is a state, or
    `email:STATE` or `sms:STATE`. `sort`: key, created_at, changed_at, email or surname, `-` before it turns it round.
    `segment`: only whom it means now, in the order of the list's key; its rule says the rest."""
    check_list(call, list_id)
    wish = Search(email, mobile, fkey, q, consent, changed_since, sort)
    if segment is not None:
        return await search_contacts.search_segment(house, call, list_id, segment, wish, limit, cursor)
    return await search_contacts.search_contacts(house, call, list_id, wish, limit, cursor)


@router.get("/v1/contacts")
async def search_everywhere(
    house: House,
    call: Read,
    email: Text = None,
    mobile: Text = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> Page[ContactView]:
    """A person's records in every list of the account (or of the key), by one address; a mobile with its country's code."""
    return await search_contacts.search_everywhere(house, call, email, mobile, limit, cursor)


@router.get("/v1/lists/{list_id}/contacts/{contact_id}")
async def see(house: House, call: Read, list_id: UUID, contact_id: UUID, response: Response) -> ContactView:
    """One contact, with its version as ETag."""
    check_list(call, list_id)
    view = await see_contacts.see_contact(house, call, list_id, contact_id)
    etag(response, view.version)
    return view


@router.patch("/v1/lists/{list_id}/contacts/{contact_id}")
async def change(
    house: House,
    call: Write,
    list_id: UUID,
    contact_id: UUID,
    wish: ContactWish,
    version: Version,
    response: Response,
) -> ContactView:
    """Changes what is named; null clears. A consent may be lowered here, never raised."""
    check_list(call, list_id)
    view = await contacts.change(house, call, list_id, contact_id, wish, version)
    etag(response, view.version)
    return view


@router.delete("/v1/lists/{list_id}/contacts/{contact_id}", status_code=204)
async def remove(house: House, call: Write, list_id: UUID, contact_id: UUID) -> None:
    """Takes a contact off the list; mail queued for it is cancelled, its history and its "no"s stay."""
    check_list(call, list_id)
    await contacts.remove(house, call, list_id, contact_id)


@router.get("/v1/lists/{list_id}/contacts/{contact_id}/history")
async def history(
    house: House,
    call: Read,
    list_id: UUID,
    contact_id: UUID,
    limit: Limit = 100,
    cursor: str | None = None,
) -> HistoryView:
    """What was done to a contact, by whom and by which door, with the fields before and after; what it was sent."""
    check_list(call, list_id)
    return await see_history.see_history(house, call, list_id, contact_id, limit, cursor)


@router.post("/v1/lists/{list_id}/contacts/{contact_id}:merge")
async def merge(house: House, call: Write, list_id: UUID, contact_id: UUID, wish: MergeWish) -> MergeView:
    """Makes another contact of the list part of this one. The stricter consent of the two stays; the other is removed."""
    check_list(call, list_id)
    return await merge_contacts.merge(house, call, list_id, contact_id, wish)


@router.post("/v1/lists/{list_id}/contacts/{contact_id}:erase", status_code=204)
async def erase(house: House, call: Write, list_id: UUID, contact_id: UUID) -> None:
    """Forgets a person. A keyed hash stays, so that nobody subscribes the address again by a file."""
    check_list(call, list_id)
    await erase_contact.erase(house, call, list_id, contact_id)
