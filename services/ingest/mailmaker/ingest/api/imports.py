"""ingest.api.imports: the clients' doors: send a file, see how it goes, take it back, fetch what was refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from mailmaker.common.storage.keyset import LIMIT, Page
from mailmaker.common.web.auth import may, request_key
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.ingest.actions.approve import approve_import
from mailmaker.ingest.actions.cancel import cancel_import
from mailmaker.ingest.actions.receive import Arrival
from mailmaker.ingest.actions.show import list_imports, rejects_file, show_import
from mailmaker.ingest.actions.undo import undo_import
from mailmaker.ingest.actions.views import ImportView
from mailmaker.ingest.api.multipart import PartBegins, PartData, parts
from mailmaker.ingest.api.options import LONGEST, OptionsBody, read_options
from mailmaker.ingest.api.state import House, house_of
from mailmaker.ingest.domain.imports import Options
from mailmaker.ingest.errors import BadUpload, UploadTooLarge
from mailmaker.ingest.storage.files import read
from starlette.requests import ClientDisconnect

router = APIRouter(tags=["imports"])
ENVELOPE = 1 << 20
"""What a multipart body may be larger than its file."""

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "options"],
                    "properties": {
                        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                        "options": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "contentSchema": OptionsBody.model_json_schema(),
                        },
                    },
                }
            }
        },
    }
}


@router.post("/v1/imports", status_code=202, openapi_extra=_FORM)
async def send_file(request: Request, call: Annotated[Call, may("imports:write")]) -> ImportView:
    """Takes a CSV file and its options. 202 means: the file is on disk and will be read.

    Errors: 413 a file too large; 422 options (`/options/...`) or a file (`/file`, with the line) that cannot be
    imported; 404 an unknown list (`/options/list`). Nothing of a refused file is kept.
    """
    house = house_of(request)
    _check_length(request, house)
    arrival = Arrival(house.files, house.max_upload)
    try:
        text, name = await _form(request, arrival)
        options = read_options(text)
        scanned = await arrival.end()
        body = hashlib.sha256(_plain(options) + b"\0" + scanned.sha256).digest()
        call = replace(call, once=request_key(request, body))
        return await house.receiver.receive(call, arrival, scanned, options, name)
    except ClientDisconnect as gone:
        await arrival.discard()
        raise BadUpload("the upload ended before its end") from gone
    except BaseException:
        await arrival.discard()
        raise


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
    """Lets a planned or quarantined import be applied. The plan is computed anew when it is."""
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
    responses={200: {"content": {"text/csv": {}}, "description": "The refused rows, UTF-8"}},
)
async def see_rejects(
    request: Request, import_id: UUID, call: Annotated[Call, may("imports:read")]
) -> StreamingResponse:
    """The refused rows: the original columns, then `_line, _field, _code, _message`, which an import passes over."""
    house = house_of(request)
    path = await rejects_file(house.db, house.files, call, import_id)
    headers = {"content-disposition": f'attachment; filename="rejects-{import_id}.csv"'}
    return StreamingResponse(read(path), media_type="text/csv; charset=utf-8", headers=headers)


def _check_length(request: Request, house: House) -> None:
    """An honest client's too large file is refused before its first byte. The connection stays: who is still sending
    would lose the answer if we closed it."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > house.max_upload + ENVELOPE:
        fault = Fault("/file", "upload.too_large", "split the file")
        raise UploadTooLarge(f"at most {house.max_upload} bytes", faults=[fault])


async def _form(request: Request, arrival: Arrival) -> tuple[bytes, str]:
    """Streams the form: the file into `arrival`, the options' text and the file's name back."""
    part = PartBegins("", None)
    options = bytearray()
    seen: dict[str, str] = {}
    async for said in parts(request.headers.get("content-type", ""), request.stream()):
        if isinstance(said, PartBegins):
            part = said
            if part.name in seen:
                raise _missing(part.name, "upload.twice", "send this field once")
            seen[part.name] = (part.filename or "")[-255:]
        elif isinstance(said, PartData) and part.name == "file":
            await arrival.write(said.data)
        elif isinstance(said, PartData) and part.name == "options":
            options += said.data
            if len(options) > LONGEST:
                raise _missing("options", "options.too_long", f"at most {LONGEST} bytes")
    for name in ("file", "options"):
        if name not in seen:
            raise _missing(name, "upload.missing", f"send the form field `{name}`")
    return bytes(options), seen["file"]


def _missing(name: str, code: str, detail: str) -> Invalid:
    return BadUpload(detail, faults=[Fault(f"/{name[:80]}", code, detail)])


def _plain(options: Options) -> bytes:
    return json.dumps(options.as_json(), sort_keys=True).encode()
