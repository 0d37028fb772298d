"""dispatch.api: what other houses ask: the messages meant for a contact."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from mailmaker.common.contracts.internal import ContactMessages
from mailmaker.common.web.auth import internal_only
from mailmaker.dispatch.actions import contact_messages
from mailmaker.dispatch.api.desk import Here

router = APIRouter(include_in_schema=False, dependencies=[Depends(internal_only)])


@router.get("/internal/accounts/{account_id}/contacts/{contact_id}/messages")
async def messages(
    desk: Here, account_id: UUID, contact_id: UUID, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> ContactMessages:
    """The latest messages meant for a contact, newest mailing first, without addresses."""
    return await contact_messages.contact_messages(desk.db, account_id, contact_id, limit)
