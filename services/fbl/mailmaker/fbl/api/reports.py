"""fbl.api.reports: GET /v1/reports and one report with its raw mail."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.keyset import LIMIT, Page, decode_cursor, encode_cursor
from mailmaker.common.web.auth import may_or_operate
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.fbl.actions.read_reports import list_reports, one_report
from mailmaker.fbl.api.schemas import ReportView, ReportWithRaw, view, with_raw
from mailmaker.fbl.errors import WrongHash

router = APIRouter(tags=["reports"])
Reader = Annotated[Call, may_or_operate("reports:read")]


def _db(request: Request) -> Database:
    db: Database = request.app.state.house
    return db


@router.get("/v1/reports")
async def reports(
    request: Request,
    call: Reader,
    message_id: Annotated[
        str | None, Query(max_length=500, description="The report's own Message-ID.")
    ] = None,
    sha256: Annotated[str | None, Query(description="SHA-256 of the raw mail, hex.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 100,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Page[ReportView]:
    """Reports, newest first: an account's own; all of them, unattributed ones too, for the operator."""
    found = await list_reports(
        _db(request),
        call,
        before=_position(cursor),
        message_id=message_id,
        sha256=_hash(sha256),
        limit=limit + 1,
    )
    more = len(found) > limit
    return Page(
        items=[view(one) for one in found[:limit]],
        next=encode_cursor(str(found[limit - 1].id)) if more else None,
    )


@router.get("/v1/reports/{report}", response_model=ReportWithRaw)
async def report(request: Request, report: UUID, call: Reader) -> ReportWithRaw | Response:
    """One report with its raw mail."""
    stored, raw = await one_report(_db(request), call, report)
    if "message/rfc822" in request.headers.get("accept", ""):
        return Response(raw, media_type="message/rfc822", headers={"Content-Disposition": "attachment"})
    return with_raw(stored, raw)


def _hash(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise WrongHash("not a SHA-256", faults=[Fault("/sha256", "sha256.invalid", "64 hexadecimal digits")])
    return digest


def _position(cursor: str | None) -> UUID | None:
    if cursor is None:
        return None
    try:
        (position,) = decode_cursor(cursor)
        return UUID(str(position))
    except ValueError:
        raise Invalid(
            "the cursor is not one of ours",
            faults=[Fault("/cursor", "cursor.unknown", "begin without a cursor")],
        ) from None
