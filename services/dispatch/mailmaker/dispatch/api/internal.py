"""dispatch.api: what other houses ask: the messages meant for a contact, and all that is kept of an account."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from mailmaker.common.contracts.internal import ContactMessages
from mailmaker.common.web.auth import internal_only
from mailmaker.dispatch.actions import contact_messages
from mailmaker.dispatch.actions.archive_account import archive_account
from mailmaker.dispatch.api.desk import Here

router = APIRouter(include_in_schema=False, dependencies=[Depends(internal_only)])


@router.get("/internal/accounts/{account_id}/contacts/{contact_id}/messages")
async def messages(
    desk: Here, account_id: UUID, contact_id: UUID, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> ContactMessages:
    """The latest messages meant for a contact, newest mailing first, without addresses."""
    return await contact_messages.contact_messages(desk.db, account_id, contact_id, limit)


@router.get("/internal/accounts/{account_id}/archive")
async def archive(desk: Here, account_id: UUID) -> StreamingResponse:
    """All that is kept of an account, a line a row (common.storage.archiving): for contacts, who writes its export."""
    return StreamingResponse(archive_account(desk.db, account_id), media_type="text/csv; charset=utf-8")
