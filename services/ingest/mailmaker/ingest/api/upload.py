"""ingest.api.upload: a file and its options as they come in, by form or as JSON lines; the file streams to disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.ingest.actions.receive import Arrival
from mailmaker.ingest.api.multipart import PartBegins, PartData, parts
from mailmaker.ingest.api.options import LONGEST, OptionsBody, query_options, read_options
from mailmaker.ingest.api.state import House
from mailmaker.ingest.domain.fields import shown
from mailmaker.ingest.errors import BadUpload, UploadTooLarge

ENVELOPE = 1 << 20
"""What a multipart body may be larger than its file."""
JSON_LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")

FORM: dict[str, Any] = {
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
            },
            "application/x-ndjson": {
                "schema": {
                    "type": "string",
                    "description": "One JSON object a line, its keys being columns; the options are query parameters.",
                }
            },
        },
    }
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What came beside the file: the options it names, what the client calls it, and whether it says JSON lines."""

    asked: dict[str, Any]
    name: str
    json_lines: bool


def check_length(request: Request, house: House) -> None:
    """An honest client's too large file is refused before its first byte. The connection stays: who is still sending
    would lose the answer if we closed it."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > house.max_upload + ENVELOPE:
        fault = Fault("/file", "upload.too_large", "split the file")
        raise UploadTooLarge(f"at most {house.max_upload} bytes", faults=[fault])


async def taken(request: Request, arrival: Arrival) -> Sent:
    """Streams the file into `arrival`. Raises BadUpload, BadOptions, UploadTooLarge."""
    if _media_type(request.headers.get("content-type", "")) in JSON_LINES:
        asked = query_options(request.query_params.multi_items())
        async for data in request.stream():
            if data:
                await arrival.write(data)
        return Sent(asked, "", True)
    return await _form(request, arrival)


async def _form(request: Request, arrival: Arrival) -> Sent:
    part = PartBegins("", None)
    options = bytearray()
    seen: dict[str, PartBegins] = {}
    async for said in parts(request.headers.get("content-type", ""), request.stream()):
        if isinstance(said, PartBegins):
            part = said
            if part.name in seen:
                raise _wrong(part.name, "upload.twice", "send this field once")
            seen[part.name] = part
        elif isinstance(said, PartData) and part.name == "file":
            await arrival.write(said.data)
        elif isinstance(said, PartData) and part.name == "options":
            options += said.data
            if len(options) > LONGEST:
                raise _wrong("options", "options.too_long", f"at most {LONGEST} bytes")
    for name in ("file", "options"):
        if name not in seen:
            raise _wrong(name, "upload.missing", f"send the form field `{name}`")
    file = seen["file"]
    asked = read_options(bytes(options))
    return Sent(asked, shown(file.filename or "")[-255:], _media_type(file.content_type) in JSON_LINES)


def _media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def _wrong(name: str, code: str, detail: str) -> Invalid:
    return BadUpload(detail, faults=[Fault(f"/{name[:80]}", code, detail)])
