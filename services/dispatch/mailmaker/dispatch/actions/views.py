"""dispatch.actions: what clients are shown, and how it is made from what is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from mailmaker.dispatch.domain.counts import Counts
from mailmaker.dispatch.domain.decisions import Message, decide
from mailmaker.dispatch.domain.dns import quoted_chunks, records_of
from mailmaker.dispatch.domain.mailing import MailClass, Mailing, MailingState
from mailmaker.dispatch.domain.sending import Domain, Sender, Template
from pydantic import BaseModel, ConfigDict, Field


class RecordView(BaseModel):
    """A DNS record to publish. `quoted` is the value as a zone file wants it, cut at 255 octets."""

    type: str
    name: str
    value: str
    quoted: str
    needed: bool
    why: str


class FindingView(BaseModel):
    """What the DNS said about one record."""

    name: str
    needed: bool
    ok: bool
    found: list[str]
    detail: str


class DomainView(BaseModel):
    """A sending domain and the records that let mail leave from it."""

    id: UUID
    name: str
    state: Literal["pending", "verified"]
    selector: str
    records: list[RecordView]
    found: list[FindingView] | None
    created_at: datetime
    checked_at: datetime | None
    verified_at: datetime | None


class SenderView(BaseModel):
    """A From identity. `ready` is false while its domain is not verified."""

    id: UUID
    name: str
    email: str
    reply_to: str | None
    domain: UUID
    ready: bool
    created_at: datetime


class TemplateView(BaseModel):
    """A template as its author wrote it; `fields` are the contact fields it uses."""

    id: UUID
    name: str
    channel: str
    subject: str
    html: str
    text: str
    fields: list[str]
    created_at: datetime


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


class DecisionView(BaseModel):
    """Why a contact got a mailing's message, or why not. `detail` names what decided, as the mailings that hold a cap."""

    mailing: UUID
    contact: UUID
    message: UUID
    list: UUID
    state: str
    verdict: Literal["sent", "not_sent", "pending", "unknown"]
    why: str
    reason: str | None
    detail: dict[str, Any]
    until: datetime | None
    attempts: int
    sent_at: datetime | None
    ended_at: datetime | None
    source: str | None
    reply: ReplyView | None


def domain_view(domain: Domain, mail_domain: str) -> DomainView:
    """A domain with the records to publish."""
    records = records_of(domain.name, domain.selector, domain.public_key, mail_domain)
    return DomainView(
        id=domain.id, name=domain.name, state="verified" if domain.verified else "pending", selector=domain.selector,
        records=[
            RecordView(type=r.type, name=r.name, value=r.value, quoted=quoted_chunks(r.value), needed=r.needed, why=r.why)
            for r in records
        ],
        found=None if domain.found is None else [FindingView.model_validate(found) for found in domain.found],
        created_at=domain.created_at, checked_at=domain.checked_at, verified_at=domain.verified_at,
    )


def sender_view(sender: Sender) -> SenderView:
    """A sender as clients see it."""
    return SenderView(
        id=sender.id, name=sender.name, email=sender.email, reply_to=sender.reply_to, domain=sender.domain_id,
        ready=sender.domain_verified, created_at=sender.created_at,
    )


def template_view(template: Template) -> TemplateView:
    """A template as its author wrote it."""
    return TemplateView(
        id=template.id, name=template.name, channel=template.channel, subject=template.subject, html=template.html,
        text=template.body, fields=list(template.fields), created_at=template.created_at,
    )


def mailing_view(m: Mailing, counts: Counts) -> MailingView:
    """A mailing with its counts."""
    return MailingView(
        id=m.id, number=m.number, name=m.name, channel=m.channel, mail_class=m.mail_class, state=m.state,
        template=m.template_id, sender=m.sender_id, lists=list(m.list_ids), rate=m.rate, schedule=m.schedule,
        valid_until=m.valid_until, failure=m.failure, created_at=m.created_at, started_at=m.started_at,
        expanded_at=m.expanded_at, ended_at=m.ended_at,
        progress=Progress(done=counts.settled, total=counts.planned),
        counts=CountsView(**counts.as_dict()),
    )


def message_view(m: Message) -> MessageView:
    """A message as its owner sees it."""
    return MessageView(
        id=m.id, mailing=m.mailing_id, list=m.list_id, contact=m.contact_id, channel=m.channel, address=m.address,
        fkey=m.fkey, state=m.state, reason=m.reason, attempts=m.attempts, sent_at=m.begun_at, ended_at=m.ended_at,
    )


def decision_view(m: Message) -> DecisionView:
    """A message's state, explained."""
    decision = decide(m)
    reply = None if m.reply_code is None else ReplyView(code=m.reply_code, text=m.reply_text or "")
    return DecisionView(
        mailing=m.mailing_id, contact=m.contact_id, message=m.id, list=m.list_id, state=m.state,
        verdict=decision.verdict, why=decision.why, reason=m.reason, detail=m.detail, until=decision.until,
        attempts=m.attempts, sent_at=m.begun_at, ended_at=m.ended_at, source=m.source, reply=reply,
    )
