"""ingest.api.imports: the clients' doors: send a file, see how it goes, take it back, fetch what was refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from mailmaker.common.storage.keyset import LIMIT, Page
from mailmaker.common.web.auth import may, request_key
from mailmaker.common.web.call import Call
from mailmaker.ingest.actions.approve import approve_import
from mailmaker.ingest.actions.cancel import cancel_import
from mailmaker.ingest.actions.preview import PreviewView
from mailmaker.ingest.actions.profiles import options_for
from mailmaker.ingest.actions.receive import Arrival
from mailmaker.ingest.actions.show import list_imports, rejects_file, show_import
from mailmaker.ingest.actions.undo import undo_import
from mailmaker.ingest.actions.views import ImportView
from mailmaker.ingest.api.state import house_of
from mailmaker.ingest.api.upload import FORM, check_length, taken
from mailmaker.ingest.domain.options import Options
from mailmaker.ingest.errors import BadUpload
from mailmaker.ingest.storage.files import read
from starlette.requests import ClientDisconnect

router = APIRouter(tags=["imports"])


@router.post("/v1/imports", status_code=202, openapi_extra=FORM)
async def send_file(request: Request, call: Annotated[Call, may("imports:write")]) -> ImportView:
    """Takes a file and its options. 202 means: the file was opened, is on disk and will be read.

    CSV, Excel (XLSX, XLSB, XLS), ODS or JSON lines, plain or alone in a gzip or zip file; which one is told by its bytes.
    JSON lines may also be the body itself, with the options as query parameters.

    Errors: 413 a file too large; 422 options (`/options/...`) or a file (`/file`, with the line) that cannot be
    imported; 404 an unknown list or profile (`/options/...`). Nothing of a refused file is kept.
    """
    house = house_of(request)
    check_length(request, house)
    arrival = Arrival(house.files, house.max_upload)
    try:
        sent = await taken(request, arrival)
        options = await options_for(house.db, call, sent.asked, file_name=sent.name)
        scanned = await arrival.end()
        body = hashlib.sha256(_plain(options) + b"\0" + scanned.sha256).digest()
        call = replace(call, once=request_key(request, body))
        return await house.receiver.receive(
            call, arrival, scanned, options, sent.name, json_lines=sent.json_lines
        )
    except ClientDisconnect as gone:
        await arrival.discard()
        raise BadUpload("the upload ended before its end") from gone
    except BaseException:
        await arrival.discard()
        raise


@router.post("/v1/imports:preview", openapi_extra=FORM)
async def preview(request: Request, call: Annotated[Call, may("imports:write")]) -> PreviewView:
    """Shows how a file would be read: its kind, its first rows, the mapping, and what is wrong. Nothing is kept.

    `options` as for an import; `mode` may be missing. What an import would refuse the file for is in `faults`, so that
    it can be mended; 422 only where nothing of the file can be read at all.
    """
    house = house_of(request)
    check_length(request, house)
    arrival = Arrival(house.files, house.max_upload)
    try:
        sent = await taken(request, arrival)
        options = await options_for(house.db, call, sent.asked, mode="incremental", file_name=sent.name)
        scanned = await arrival.end()
        return await house.receiver.preview(
            call, arrival, scanned, options, sent.name, json_lines=sent.json_lines
        )
    except ClientDisconnect as gone:
        raise BadUpload("the upload ended before its end") from gone
    finally:
        await arrival.discard()


@router.get("/v1/imports")
async def see_imports(
    request: Request,
    call: Annotated[Call, may("imports:read")],
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 100,
    list_id: Annotated[UUID | None, Query(alias="list")] = None,
) -> Page[ImportView]:
    """The account's imports, newest first."""
    return await list_imports(house_of(request).db, call, list_id=list_id, cursor=cursor, limit=limit)


@router.get("/v1/imports/{import_id}")
async def see_import(
    request: Request, import_id: UUID, call: Annotated[Call, may("imports:read")]
) -> ImportView:
    """One import: its state, its counts, why it failed."""
    return await show_import(house_of(request).db, call, import_id)


@router.post("/v1/imports/{import_id}:approve")
async def approve(
    request: Request, import_id: UUID, call: Annotated[Call, may("imports:write")]
) -> ImportView:
    """Lets a planned or quarantined import be applied, as its plan's rows show it.

    It is computed anew when it is applied. Rows that need nothing any more are left out. Where contacts were edited since,
    so that a row would be written otherwise than it was shown, nothing is applied: the import waits anew, `quarantined`
    with the code `plan.changed`, and its rows show what it would do now. Likewise `guard.more_removed`, when a full file
    would remove more contacts than were seen. A "no" said since stops no import, and holds.
    """
    house = house_of(request)
    return await approve_import(house.db, house.contacts, call, import_id)


@router.post("/v1/imports/{import_id}:cancel")
async def cancel(
    request: Request, import_id: UUID, call: Annotated[Call, may("imports:write")]
) -> ImportView:
    """Takes an import back while it is received, parsing, planned or quarantined."""
    house = house_of(request)
    return await cancel_import(house.db, house.clock, call, import_id)


@router.post("/v1/imports/{import_id}:undo", status_code=202)
async def undo(request: Request, import_id: UUID, call: Annotated[Call, may("imports:write")]) -> ImportView:
    """Takes an applied import back: what nobody has changed since becomes as it was. The state moves to `undone` when it
    has; the plan's rows then tell of each whether it was restored. No consent is raised, nobody erased comes back."""
    house = house_of(request)
    return await undo_import(house.db, house.contacts, call, import_id)


@router.get(
    "/v1/imports/{import_id}/rejects",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}}, "description": "The rows that were not imported, UTF-8"}},
)
async def see_rejects(
    request: Request, import_id: UUID, call: Annotated[Call, may("imports:read")]
) -> StreamingResponse:
    """The rows that were not imported: the original columns, then `_line, _field, _code, _message`, which an import passes
    over. First those that were refused, then the later rows of keys that come twice (`row.duplicate`); of a file that is
    corrected and sent again, the latter stay out as long as `_code` says so."""
    house = house_of(request)
    path = await rejects_file(house.db, house.files, call, import_id)
    headers = {"content-disposition": f'attachment; filename="rejects-{import_id}.csv"'}
    return StreamingResponse(read(path), media_type="text/csv; charset=utf-8", headers=headers)


def _plain(options: Options) -> bytes:
    return json.dumps(options.as_json(), sort_keys=True).encode()
