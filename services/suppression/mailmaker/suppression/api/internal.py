"""suppression.api.internal: what other houses hand over and pull, by service token; not routed by the front door."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from mailmaker.common.contracts.internal import (
    EnforcedBatch,
    FeedPage,
    NosAnswer,
    NosBatch,
    ReleasesAnswer,
    ReleasesBatch,
)
from mailmaker.common.web.auth import internal_only
from mailmaker.suppression.actions.archive_account import archive_account
from mailmaker.suppression.actions.hear_enforced import hear_enforced
from mailmaker.suppression.actions.read_feed import read_feed
from mailmaker.suppression.actions.release_by_file import release_by_file
from mailmaker.suppression.api.house import House

MOST = 1000
LONGEST = 30.0

router = APIRouter(prefix="/internal", dependencies=[Depends(internal_only)], include_in_schema=False)


@router.get("/feed")
async def feed(
    house: House,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 500,
    wait: Annotated[float, Query(ge=0, le=LONGEST)] = 0.0,
) -> FeedPage:
    """The platform's feed after a number. With nothing new, the answer is held up to `wait` seconds."""
    return await read_feed(house.db, house.bell, after, limit, wait, house.pepper_check)


@router.post("/nos")
async def nos(batch: NosBatch, house: House) -> NosAnswer:
    """ "No"s another house committed. Idempotent by id; answered after they are in the ledger."""
    return NosAnswer(accepted=await house.nos.hear(batch.items))


@router.post("/releases")
async def releases(batch: ReleasesBatch, house: House) -> ReleasesAnswer:
    """Opt-outs that an import with a stated lawful basis lifts: those of its list, not said since. Idempotent."""
    return ReleasesAnswer(released=await release_by_file(house.db, house.bell, batch.items))


@router.post("/enforced", status_code=204)
async def enforced(batch: EnforcedBatch, house: House) -> None:
    """dispatch: no send to these lines of the feed begins any more. A repetition changes nothing."""
    await hear_enforced(house.db, house.bell, house.figures, batch.items)


@router.get("/accounts/{account_id}/archive")
async def archive(house: House, account_id: UUID) -> StreamingResponse:
    """All that is kept of an account, a line a row (common.storage.archiving): for contacts, who writes its export."""
    return StreamingResponse(archive_account(house.db, account_id), media_type="text/csv; charset=utf-8")
