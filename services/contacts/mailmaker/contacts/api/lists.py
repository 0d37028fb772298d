"""contacts.api.lists: lists and their caps."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from mailmaker.common.contracts.contacts import CapPolicy
from mailmaker.common.storage.keyset import Page
from mailmaker.common.web.auth import check_list, may
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions import lists
from mailmaker.contacts.actions.shapes import ListChange, ListView, ListWish
from mailmaker.contacts.api.doors import House, Limit, Version, etag

router = APIRouter(tags=["lists"])
Read = Annotated[Call, may("lists:read")]
Write = Annotated[Call, may("lists:write")]


@router.post("/v1/lists", status_code=201)
async def open_list(house: House, call: Write, wish: ListWish, response: Response) -> ListView:
    """Opens a list. Its key kind stays for ever; it has no caps yet."""
    view = await lists.open_list(house, call, wish)
    etag(response, view.version)
    return view


@router.get("/v1/lists")
async def see_lists(
    house: House, call: Read, limit: Limit = 100, cursor: str | None = None
) -> Page[ListView]:
    """The account's lists, oldest first."""
    return await lists.see_lists(house, call, limit, cursor)


@router.get("/v1/lists/{list_id}")
async def see_list(house: House, call: Read, list_id: UUID, response: Response) -> ListView:
    """A list, with its version as ETag."""
    check_list(call, list_id)
    view = ListView.of(await lists.see_list(house, call, list_id))
    etag(response, view.version)
    return view


@router.patch("/v1/lists/{list_id}")
async def change_list(
    house: House, call: Write, list_id: UUID, change: ListChange, version: Version, response: Response
) -> ListView:
    """Changes what is named; with `If-Match`, only the version that was read."""
    check_list(call, list_id)
    view = await lists.change_list(house, call, list_id, change, version)
    etag(response, view.version)
    return view


@router.delete("/v1/lists/{list_id}", status_code=204)
async def close_list(house: House, call: Write, list_id: UUID) -> None:
    """Closes a list: its contacts are removed, mail queued for them is cancelled, every "no" stays."""
    check_list(call, list_id)
    await lists.close_list(house, call, list_id)


@router.get("/v1/lists/{list_id}/cap-policy")
async def see_caps(house: House, call: Read, list_id: UUID, response: Response) -> CapPolicy:
    """How many messages one person may get from this list; null is no limit, 0 is none at all."""
    check_list(call, list_id)
    it = await lists.see_list(house, call, list_id)
    etag(response, it.version)
    return it.caps


@router.put("/v1/lists/{list_id}/cap-policy")
async def set_caps(
    house: House, call: Write, list_id: UUID, policy: CapPolicy, version: Version, response: Response
) -> CapPolicy:
    """Replaces the cap policy; running mailings obey it as soon as dispatch has heard."""
    check_list(call, list_id)
    view = await lists.set_caps(house, call, list_id, policy, version)
    etag(response, view.version)
    return view.cap_policy
