"""suppression.api.journals: the operator's door to journals whose disk was lost."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from mailmaker.common.web.auth import may_operate
from mailmaker.common.web.call import Call
from mailmaker.suppression.actions.read_ledger import declare_lost, vouching
from mailmaker.suppression.api.house import House
from mailmaker.suppression.api.schemas import JournalsView, JournalView

router = APIRouter(prefix="/v1/journals", tags=["journals"])
Operates = Annotated[Call, may_operate()]


@router.get("")
async def journals(_: Operates, house: House) -> JournalsView:
    """Every journal the feed waits for, and when it last vouched that it is empty."""
    rows = await vouching(house.db)
    return JournalsView(
        items=[
            JournalView(id=r.id, host=r.host, pid=r.pid, started_at=r.started_at, touched_at=r.touched_at)
            for r in rows
        ]
    )


@router.post("/{id}:declare-lost", status_code=204)
async def lost(id: UUID, call: Operates, house: House) -> None:
    """The disk is gone and with it what its journal held: the feed stops waiting for it, and sending goes on."""
    await declare_lost(house.db, call, id)
