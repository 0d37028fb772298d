"""fbl.api.internal: what another house asks: all that is kept of an account."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from mailmaker.common.storage.engine import Database
from mailmaker.common.web.auth import internal_only
from mailmaker.fbl.actions.archive_account import archive_account

router = APIRouter(include_in_schema=False, dependencies=[Depends(internal_only)])


@router.get("/internal/accounts/{account_id}/archive")
async def archive(request: Request, account_id: UUID) -> StreamingResponse:
    """All that is kept of an account, a line a row (common.storage.archiving): for contacts, who writes its export."""
    db: Database = request.app.state.house
    return StreamingResponse(archive_account(db, account_id), media_type="text/csv; charset=utf-8")
