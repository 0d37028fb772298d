"""suppression.api.unsubscribe: the link of every mail: a page that changes nothing, and a POST that acts (RFC 8058)."""

from __future__ import annotations

import asyncio
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from mailmaker.common.web.internal import Unreachable
from mailmaker.common.web.problem import NotFound, Unavailable
from mailmaker.suppression.actions.enforced_of import enforced_of
from mailmaker.suppression.actions.hear_token import Answered
from mailmaker.suppression.api.house import House, Rooms
from mailmaker.suppression.api.shapes import evidence_of
from mailmaker.suppression.domain.language import Language, language_of
from mailmaker.suppression.domain.one_click import is_one_click
from starlette.requests import ClientDisconnect

BODY = 64 * 1024
BODY_TIMEOUT = 5.0

router = APIRouter(tags=["unsubscribe"], default_response_class=HTMLResponse)


@router.head("/u/{token}", include_in_schema=False)
@router.get("/u/{token}")
async def page(token: str, request: Request, house: House) -> HTMLResponse:
    """A page with a button. Scanners and previews may load it as often as they like: nothing changes."""
    language = language_of(request.headers.get("accept-language"))
    try:
        read = house.token.read(token)
        await house.token.account(read)
    except NotFound:
        return _html(house, house.pages.unknown(language), 404)
    return _html(house, house.pages.ask(language, await _list_name(house, read.contact_id)), 200)


@router.post("/u/{token}")
async def act(token: str, request: Request, house: House) -> HTMLResponse:
    """Stops the mail of the list. Any body will do; never a redirect, a cookie or a further question."""
    language = language_of(request.headers.get("accept-language"))
    try:
        house.token.read(token)
        one_click = is_one_click(await _body(request))
        heard = await house.token.hear(token, "one_click" if one_click else "link", evidence_of(request))
    except NotFound:
        return _html(house, house.pages.unknown(language), 404)
    except Unavailable:
        return _html(house, house.pages.later(language), 503)
    # A mail program's click is answered at once; a person at the page is told what was stopped.
    return _html(house, await _told(house, language, heard, 0.0 if one_click else house.page_wait), 200)


async def _told(house: Rooms, language: Language, heard: Answered, wait: float) -> str:
    if heard.entry is None or heard.account_id is None:
        return house.pages.received(language)
    if heard.made is not None and not wait:
        return house.pages.done(language, heard.made)
    try:
        async with asyncio.timeout(wait + 1.0):
            found = await enforced_of(house.db, house.bell, heard.account_id, [heard.entry], wait)
    except (Unavailable, OSError):
        return house.pages.received(language)
    return house.pages.done(language, found[heard.entry])


async def _list_name(house: Rooms, contact_id: UUID) -> str | None:
    """The list's name, if contacts tells it in time."""
    try:
        row = await house.contacts.contact(contact_id)
        found = None if row is None else await house.contacts.list(row.list_id)
    except Unreachable:
        return None
    return None if found is None else found.name


async def _body(request: Request) -> bytes:
    """The beginning of the body. It only names the door, so a late, long or broken one is no reason to refuse."""
    read = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                read += chunk
                if len(read) >= BODY:
                    break
    except (TimeoutError, ClientDisconnect):
        pass
    return read[:BODY]


def _html(house: Rooms, text: str, status: int) -> HTMLResponse:
    return HTMLResponse(text, status, headers=house.pages.headers)
