"""contacts.api.plans: what an import would do, or did, row by row."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from mailmaker.common.storage.keyset import Page
from mailmaker.common.web.auth import may
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions import see_contacts
from mailmaker.contacts.actions.contact_shapes import PlanRowView, PlanView
from mailmaker.contacts.api.doors import House, Limit

router = APIRouter(tags=["plans"])
Read = Annotated[Call, may("imports:read")]


@router.get("/v1/plans/{import_id}")
async def see_plan(house: House, call: Read, import_id: UUID) -> PlanView:
    """The counts of a plan; all but `removed` sum to the rows of the file."""
    return await see_contacts.see_plan(house, call, import_id)


@router.get("/v1/plans/{import_id}/rows")
async def see_rows(
    house: House,
    call: Read,
    import_id: UUID,
    action: Literal["created", "updated", "removed", "protected"] | None = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> Page[PlanRowView]:
    """The rows of a plan that are not unchanged, with the fields that differ, before and after."""
    return await see_contacts.see_plan_rows(house, call, import_id, action, limit, cursor)
