"""contacts.api.fields: the fields of a list."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from mailmaker.common.web.auth import check_list, may
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions import fields
from mailmaker.contacts.actions.field_shapes import FieldChange, FieldsView, FieldsWish
from mailmaker.contacts.api.doors import House

router = APIRouter(tags=["lists"])
Read = Annotated[Call, may("lists:read")]
Write = Annotated[Call, may("lists:write")]


@router.get("/v1/lists/{list_id}/fields")
async def see_fields(house: House, call: Read, list_id: UUID) -> FieldsView:
    """The fields a contact of the list may have, and the retired ones."""
    check_list(call, list_id)
    return await fields.see_fields(house, call, list_id)


@router.put("/v1/lists/{list_id}/fields")
async def set_fields(house: House, call: Write, list_id: UUID, wish: FieldsWish) -> FieldsView:
    """Makes these the custom fields in use. One that is left out is retired; one that is named again comes back."""
    check_list(call, list_id)
    return await fields.set_fields(house, call, list_id, wish)


@router.patch("/v1/lists/{list_id}/fields/{field_id}")
async def change_field(
    house: House, call: Write, list_id: UUID, field_id: str, change: FieldChange
) -> FieldsView:
    """Renames a field, retires it or brings it back, changes an enum's values. No contact is rewritten."""
    check_list(call, list_id)
    return await fields.change_field(house, call, list_id, field_id, change)
