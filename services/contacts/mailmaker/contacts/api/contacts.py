"""contacts.api.contacts: contacts of a list, one or a thousand."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from mailmaker.common.storage.keyset import Page
from mailmaker.common.web.auth import check_list, may
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions import contacts, see_contacts
from mailmaker.contacts.actions.contact_shapes import (
    BatchView,
    BatchWish,
    ContactView,
    ContactWish,
    HistoryView,
    UpsertView,
)
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
    segment: UUID | None = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> Page[ContactView]:
    """Contacts in the order of the list's key. `q` looks anywhere in addresses, names and the client's key.
    `segment`: only whom it means now."""
    check_list(call, list_id)
    return await see_contacts.see_contacts(
        house,
        call,
        list_id,
        email=email,
        mobile=mobile,
        fkey=fkey,
        q=q,
        segment=segment,
        limit=limit,
        cursor=cursor,
    )


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
async def history(house: House, call: Read, list_id: UUID, contact_id: UUID) -> HistoryView:
    """What was done to a contact, by whom, with the fields before and after."""
    check_list(call, list_id)
    return await see_contacts.see_history(house, call, list_id, contact_id)


@router.post("/v1/lists/{list_id}/contacts/{contact_id}:erase", status_code=204)
async def erase(house: House, call: Write, list_id: UUID, contact_id: UUID) -> None:
    """Forgets a person. A keyed hash stays, so that nobody subscribes the address again by a file."""
    check_list(call, list_id)
    await contacts.erase(house, call, list_id, contact_id)
