"""dispatch.actions: what clients are shown of mailings, messages and decisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from mailmaker.dispatch.domain.counts import Counts
from mailmaker.dispatch.domain.decisions import Message, decide
from mailmaker.dispatch.domain.mailing import MailClass, Mailing, MailingState
from pydantic import BaseModel, ConfigDict, Field


class BlockerView(BaseModel):
    """One thing that must change before a mailing can start."""

    pointer: str
    code: str
    detail: str


class PreflightView(BaseModel):
    """What a start would find."""

    ok: bool
    blockers: list[BlockerView]


class CountsView(BaseModel):
    """Where the recipients are: each in exactly one count; all but `planned` sum to it."""

    planned: int
    delivered: int
    deferred: int
    bounced: int
    expired: int
    suppressed: int
    capped: int
    held: int
    cancelled: int
    skipped: int
    uncertain: int
    waiting: int


class Progress(BaseModel):
    """How far long work is."""

    done: int
    total: int


class MailingView(BaseModel):
    """A mailing and how it stands."""

    model_config = ConfigDict(populate_by_name=True)

    id: UUID
    number: int
    name: str
    channel: str
    mail_class: MailClass = Field(alias="class")
    state: MailingState
    template: UUID
    sender: UUID
    lists: list[UUID]
    segment: UUID | None = None
    segment_version: int | None = None
    segment_rule: Literal["frozen_at_start"] | None = None
    """A start freezes the rule at its version; whom it means is asked once, when the mailing is due (`expanded_at`)."""
    tag: str | None
    rate: int | None
    schedule: datetime | None
    valid_until: datetime | None
    failure: str | None
    created_at: datetime
    started_at: datetime | None
    expanded_at: datetime | None
    ended_at: datetime | None
    progress: Progress
    counts: CountsView


class MessageView(BaseModel):
    """One recipient of one mailing."""

    id: UUID
    mailing: UUID
    list: UUID
    contact: UUID
    channel: str
    address: str
    fkey: str | None
    state: str
    reason: str | None
    attempts: int
    sent_at: datetime | None
    ended_at: datetime | None


class ReplyView(BaseModel):
    """What the receiving server said last."""

    code: int
    text: str


class Winner(BaseModel):
    """A mailing that holds a place of the cap which refused another."""

    mailing: UUID | None
    number: int


class DecisionView(BaseModel):
    """Why a contact got a mailing's message, or why not. `won_by` names the mailings that used up the cap."""

    mailing: UUID
    contact: UUID
    message: UUID
    list: UUID
    state: str
    verdict: Literal["sent", "not_sent", "pending", "unknown"]
    why: str
    reason: str | None
    detail: dict[str, Any]
    won_by: tuple[Winner, ...]
    until: datetime | None
    attempts: int
    sent_at: datetime | None
    ended_at: datetime | None
    source: str | None
    route: str | None
    """The rule that chose the pool; null where the account has none."""
    reply: ReplyView | None


def mailing_view(m: Mailing, counts: Counts) -> MailingView:
    """A mailing with its counts."""
    return MailingView(
        id=m.id,
        number=m.number,
        name=m.name,
        channel=m.channel,
        mail_class=m.mail_class,
        state=m.state,
        template=m.template_id,
        sender=m.sender_id,
        lists=list(m.list_ids),
        segment=m.segment_id,
        segment_version=m.segment_version,
        segment_rule=None if m.segment_id is None else "frozen_at_start",
        tag=m.tag,
        rate=m.rate,
        schedule=m.schedule,
        valid_until=m.valid_until,
        failure=m.failure,
        created_at=m.created_at,
        started_at=m.started_at,
        expanded_at=m.expanded_at,
        ended_at=m.ended_at,
        progress=Progress(done=counts.settled, total=counts.planned),
        counts=CountsView(**counts.as_dict()),
    )


def message_view(m: Message) -> MessageView:
    """A message as its owner sees it."""
    return MessageView(
        id=m.id,
        mailing=m.mailing_id,
        list=m.list_id,
        contact=m.contact_id,
        channel=m.channel,
        address=m.address,
        fkey=m.fkey,
        state=m.state,
        reason=m.reason,
        attempts=m.attempts,
        sent_at=m.begun_at,
        ended_at=m.ended_at,
    )


def decision_view(m: Message, mailings: Mapping[int, UUID]) -> DecisionView:
    """A message's state, explained; `mailings` are those of the numbers it names."""
    decision = decide(m)
    winners = tuple(Winner(mailing=mailings.get(number), number=number) for number in m.cap_holders)
    reply = None if m.reply_code is None else ReplyView(code=m.reply_code, text=m.reply_text or "")
    return DecisionView(
        mailing=m.mailing_id,
        contact=m.contact_id,
        message=m.id,
        list=m.list_id,
        state=m.state,
        verdict=decision.verdict,
        why=decision.why,
        reason=m.reason,
        detail=m.detail,
        won_by=winners,
        until=decision.until,
        attempts=m.attempts,
        sent_at=m.begun_at,
        ended_at=m.ended_at,
        source=m.source,
        route=m.route,
        reply=reply,
    )
