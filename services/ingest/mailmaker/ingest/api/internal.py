"""ingest.api.internal: contacts' doors: pull the staged rows, tell how the import goes on, pull an account's archive."""

from __future__ import annotations

import struct
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from mailmaker.common.contracts.internal import ImportProgress
from mailmaker.common.contracts.lines import LinesRead, LinesWanted
from mailmaker.common.web.auth import internal_only
from mailmaker.common.web.problem import Fault
from mailmaker.ingest.actions.archive_account import archive_account
from mailmaker.ingest.actions.progress import hear_progress
from mailmaker.ingest.actions.show import lines_file, staged_file
from mailmaker.ingest.api.state import house_of
from mailmaker.ingest.errors import BadOptions
from mailmaker.ingest.storage import staged as files
from mailmaker.ingest.storage.files import read
from pydantic import BaseModel, Field

_CSV = "text/csv; charset=utf-8"
_BYTES = "application/octet-stream"
router = APIRouter(include_in_schema=False, dependencies=[Depends(internal_only)])


class StateAnswer(BaseModel):
    """The state that stands after a word of contacts."""

    state: str


class ProgressBatch(BaseModel):
    """The body of a hand-over (common.bus.handover.Batch)."""

    items: list[ImportProgress] = Field(min_length=1, max_length=500)


@router.get("/internal/imports/{import_id}/outline")
async def outline(
    request: Request, import_id: UUID, form: Literal["csv", "binary"] = "csv"
) -> StreamingResponse:
    """An entry a good row, one a key, for COPY: line, place, digest and key in its binary form where that is asked for and
    is what the file was staged with; else line, key, digest, place as CSV. How it begins tells which."""
    house = house_of(request)
    staged = await staged_file(house.db, house.files, import_id)
    told = files.outline(house.files.outline(import_id), staged, binary=form == "binary")
    return StreamingResponse(told, media_type=_CSV if form == "csv" else _BYTES)


@router.get("/internal/imports/{import_id}/staged")
async def staged(request: Request, import_id: UUID) -> StreamingResponse:
    """The good rows as CSV for COPY; columns as in domain.fields.STAGED_COLUMNS."""
    house = house_of(request)
    path = await staged_file(house.db, house.files, import_id)
    return StreamingResponse(files.rows(house.files.outline(import_id), path), media_type=_CSV)


@router.post("/internal/imports/{import_id}/staged")
async def staged_at(request: Request, import_id: UUID) -> StreamingResponse:
    """Those of the good rows that begin at the places in the body: the outline's `at`, 64-bit little-endian each."""
    house = house_of(request)
    path = await staged_file(house.db, house.files, import_id)
    body = await request.body()
    if len(body) % 8:
        fault = Fault("", "places.broken", "8 bytes a place")
        raise BadOptions("the body is not a list of places", faults=[fault])
    places = struct.unpack(f"<{len(body) // 8}q", body)
    return StreamingResponse(files.rows_at(path, places), media_type=_CSV)


@router.get("/internal/imports/{import_id}/lines")
async def lines(request: Request, import_id: UUID) -> StreamingResponse:
    """Of a file that was told by its lines, an entry a line, for COPY in its binary form: number and digest."""
    house = house_of(request)
    path = await lines_file(house.db, house.files, import_id)
    return StreamingResponse(read(path), media_type=_BYTES)


@router.post("/internal/imports/{import_id}/read")
async def read_lines(request: Request, import_id: UUID, wish: LinesWanted) -> LinesRead:
    """Stages those lines of the file that are wanted, or all: then its outline and its staged rows are theirs."""
    return await house_of(request).line_reader.read(import_id, wish.lines)


@router.post("/internal/imports/{import_id}/progress")
async def progress(request: Request, import_id: UUID, words: ProgressBatch) -> StateAnswer:
    """contacts' words, oldest first, as its hand-over worker sends them. Repeats and late words change nothing."""
    if any(word.import_id != import_id for word in words.items):
        fault = Fault("/items/0/import_id", "import_id.other", "must be the path's")
        raise BadOptions("the body is about another import", faults=[fault])
    house = house_of(request)
    state = ""
    for word in words.items:
        state = await hear_progress(house.db, house.files, word)
    return StateAnswer(state=state)


@router.get("/internal/accounts/{account_id}/archive")
async def archive(request: Request, account_id: UUID) -> StreamingResponse:
    """All that is kept of an account, a line a row (common.storage.archiving): for contacts, who writes its export."""
    return StreamingResponse(archive_account(house_of(request).db, account_id), media_type=_CSV)
