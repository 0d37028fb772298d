"""contacts.api.doors: what the doors of this house share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from mailmaker.common.storage.keyset import LIMIT
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.domain.exports import MEDIA_TYPES, Export
from mailmaker.contacts.errors import wrong_fields


def _house(request: Request) -> Contacts:
    return cast(Contacts, request.app.state.house)


def _if_match(if_match: Annotated[str | None, Header()] = None) -> int | None:
    """The version that `If-Match` names; None where it names none."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise wrong_fields([("/If-Match", "etag.unknown", "not an ETag of ours")])
    return int(text)


def etag(response: Response, version: int) -> None:
    """Sets the ETag that `If-Match` is compared with."""
    response.headers["ETag"] = f'"{version}"'


def file_answer(it: Export, pieces: AsyncIterator[bytes], name: str) -> StreamingResponse:
    """The file of an export, to be saved and not to be shown."""
    headers = {
        "Content-Length": str(it.size),
        "Content-Disposition": f'attachment; filename="{name}-{it.id}.{it.wish.format}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(pieces, media_type=MEDIA_TYPES[it.wish.format], headers=headers)


House = Annotated[Contacts, Depends(_house)]
Version = Annotated[int | None, Depends(_if_match)]
Limit = Annotated[int, Query(ge=1, le=LIMIT)]
