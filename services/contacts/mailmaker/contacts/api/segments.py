"""contacts.api.segments: saved rules that say who of a list is meant."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from mailmaker.common.storage.keyset import Page
from mailmaker.common.web.auth import check_list, may
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions import count_segment, segments
from mailmaker.contacts.actions.segment_shapes import (
    CountWish,
    SegmentChange,
    SegmentCount,
    SegmentView,
    SegmentWish,
)
from mailmaker.contacts.api.doors import House, Limit, Version, etag

router = APIRouter(tags=["segments"])
Read = Annotated[Call, may("lists:read")]
Write = Annotated[Call, may("lists:write")]
Look = Annotated[Call, may("contacts:read")]


@router.post("/v1/lists/{list_id}/segments", status_code=201)
async def save(
    house: House, call: Write, list_id: UUID, wish: SegmentWish, response: Response
) -> SegmentView:
    """Saves a rule under a name. What is wrong with a rule is named by JSON pointer: /rule/all/2/value."""
    check_list(call, list_id)
    view = await segments.save_segment(house, call, list_id, wish)
    etag(response, view.version)
    return view


@router.get("/v1/lists/{list_id}/segments")
async def see_all(
    house: House, call: Read, list_id: UUID, limit: Limit = 100, cursor: str | None = None
) -> Page[SegmentView]:
    """The list's segments, oldest first."""
    check_list(call, list_id)
    return await segments.see_segments(house, call, list_id, limit, cursor)


@router.post("/v1/lists/{list_id}/segments:count")
async def count(house: House, call: Look, list_id: UUID, wish: CountWish) -> SegmentCount:
    """How many contacts a rule means now, and up to twenty of them. Saves nothing."""
    check_list(call, list_id)
    return await count_segment.count_segment(house, call, list_id, wish)


@router.get("/v1/lists/{list_id}/segments/{segment_id}")
async def see(house: House, call: Read, list_id: UUID, segment_id: UUID, response: Response) -> SegmentView:
    """A segment, with its version as ETag."""
    check_list(call, list_id)
    view = await segments.see_segment(house, call, list_id, segment_id)
    etag(response, view.version)
    return view


@router.patch("/v1/lists/{list_id}/segments/{segment_id}")
async def change(
    house: House,
    call: Write,
    list_id: UUID,
    segment_id: UUID,
    change: SegmentChange,
    version: Version,
    response: Response,
) -> SegmentView:
    """Changes what is named; with `If-Match`, only the version that was read. Started mailings keep the rule they had."""
    check_list(call, list_id)
    view = await segments.change_segment(house, call, list_id, segment_id, change, version)
    etag(response, view.version)
    return view


@router.delete("/v1/lists/{list_id}/segments/{segment_id}", status_code=204)
async def retire(house: House, call: Write, list_id: UUID, segment_id: UUID, version: Version) -> None:
    """Takes a segment away. A mailing that was started with it, scheduled or not, keeps the rule it was started with."""
    check_list(call, list_id)
    await segments.retire_segment(house, call, list_id, segment_id, version)
