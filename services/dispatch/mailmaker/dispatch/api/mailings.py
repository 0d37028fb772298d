"""dispatch.api: doors of mailings, their messages and their decisions."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from mailmaker.common.storage.keyset import Page
from mailmaker.dispatch.actions import cancel_mailing, move_mailing, open_mailing, read
from mailmaker.dispatch.actions.mailing_views import DecisionView, MailingView, MessageView, PreflightView
from mailmaker.dispatch.api.desk import Cursor, Here, Limit, MayReadMailings, MayWriteMailings
from mailmaker.dispatch.api.schemas import MailingIn

router = APIRouter(tags=["mailings"])


@router.post("/v1/mailings", status_code=201)
async def post_mailing(desk: Here, call: MayWriteMailings, body: MailingIn) -> MailingView:
    """Makes a draft. A list, template or sender that the account does not have is named: /lists/0."""
    return await open_mailing.open_mailing(desk.db, desk.contacts, call, body.wish(), desk.now())


@router.get("/v1/mailings")
async def get_mailings(
    desk: Here, call: MayReadMailings, limit: Limit = 50, cursor: Cursor = None
) -> Page[MailingView]:
    """The account's mailings, the newest first."""
    return await read.mailing_page(desk.db, call.account_id, limit, cursor)


@router.get("/v1/mailings/{mailing_id}")
async def get_mailing(desk: Here, call: MayReadMailings, mailing_id: UUID) -> MailingView:
    """A mailing with its counts."""
    return await read.one_mailing(desk.db, call.account_id, mailing_id)


@router.post("/v1/mailings/{mailing_id}:preflight")
async def preflight(desk: Here, call: MayReadMailings, mailing_id: UUID) -> PreflightView:
    """What a start would find, without starting."""
    return await move_mailing.preflight(desk.db, desk.contacts, call.account_id, mailing_id, desk.now())


@router.post("/v1/mailings/{mailing_id}:start", status_code=202)
async def start(desk: Here, call: MayWriteMailings, mailing_id: UUID) -> MailingView:
    """Starts a draft, now or at its schedule; runs the preflight itself. Poll the mailing's state and progress."""
    return await move_mailing.start_mailing(desk.db, desk.contacts, call, mailing_id, desk.now())


@router.post("/v1/mailings/{mailing_id}:pause")
async def pause(desk: Here, call: MayWriteMailings, mailing_id: UUID) -> MailingView:
    """Nothing more of it begins until it is resumed."""
    return await move_mailing.pause_or_resume(desk.db, call, mailing_id, "pause", desk.now())


@router.post("/v1/mailings/{mailing_id}:resume")
async def resume(desk: Here, call: MayWriteMailings, mailing_id: UUID) -> MailingView:
    """Goes on where it was paused."""
    return await move_mailing.pause_or_resume(desk.db, call, mailing_id, "resume", desk.now())


@router.post("/v1/mailings/{mailing_id}:cancel")
async def cancel(desk: Here, call: MayWriteMailings, mailing_id: UUID) -> MailingView:
    """Stops for good what has not begun; the counts in the answer are exact."""
    return await cancel_mailing.cancel_mailing(desk.db, call, mailing_id, desk.now())


@router.get("/v1/mailings/{mailing_id}/messages")
async def get_messages(
    desk: Here,
    call: MayReadMailings,
    mailing_id: UUID,
    state: Annotated[str | None, Query(max_length=20)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[MessageView]:
    """Whom the mailing is for, by state."""
    return await read.message_page(desk.db, call.account_id, mailing_id, state, limit, cursor)


@router.get("/v1/decisions")
async def get_decisions(
    desk: Here,
    call: MayReadMailings,
    mailing: UUID | None = None,
    contact: UUID | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[DecisionView]:
    """Who got it and why, or why not and until when: of a mailing, of a contact, or of both together."""
    return await read.decision_page(desk.db, call.account_id, mailing, contact, limit, cursor)
