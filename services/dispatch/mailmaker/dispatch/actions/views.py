"""dispatch.actions: what clients are shown of domains, senders and templates."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from mailmaker.dispatch.domain.dns import quoted_chunks, records_of
from mailmaker.dispatch.domain.sending import Domain, Sender, Template
from pydantic import BaseModel


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


class KeyView(BaseModel):
    """A DKIM key of a domain. `waiting`: signs nothing, for its record was not found when last looked for; `signing`: each
    mail is signed by it; `next`: takes over once its record is found; `retired`: its record verifies mail under way."""

    selector: str
    algorithm: Literal["rsa", "ed25519"]
    state: Literal["waiting", "signing", "next", "retired"]


class DomainView(BaseModel):
    """A sending domain, the records that let mail leave from it, and the keys that they hold."""

    id: UUID
    name: str
    state: Literal["pending", "verified"]
    selector: str
    # An answer kept for its Idempotency-Key may be older than these.
    keys: list[KeyView] = []
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


class PreviewView(BaseModel):
    """A template filled in."""

    subject: str
    html: str
    text: str


def domain_view(domain: Domain, mail_domain: str) -> DomainView:
    """A domain with the records to publish."""
    records = records_of(domain, mail_domain)
    return DomainView(
        id=domain.id,
        name=domain.name,
        state="verified" if domain.verified else "pending",
        selector=domain.selector,
        keys=[KeyView(selector=k.selector, algorithm=k.algorithm, state=k.state) for k in domain.keys],
        records=[
            RecordView(
                type=r.type,
                name=r.name,
                value=r.value,
                quoted=quoted_chunks(r.value),
                needed=r.needed,
                why=r.why,
            )
            for r in records
        ],
        found=None if domain.found is None else [FindingView.model_validate(found) for found in domain.found],
        created_at=domain.created_at,
        checked_at=domain.checked_at,
        verified_at=domain.verified_at,
    )


def sender_view(sender: Sender) -> SenderView:
    """A sender as clients see it."""
    return SenderView(
        id=sender.id,
        name=sender.name,
        email=sender.email,
        reply_to=sender.reply_to,
        domain=sender.domain_id,
        ready=sender.domain_verified,
        created_at=sender.created_at,
    )


def template_view(template: Template) -> TemplateView:
    """A template as its author wrote it."""
    return TemplateView(
        id=template.id,
        name=template.name,
        channel=template.channel,
        subject=template.subject,
        html=template.html,
        text=template.body,
        fields=list(template.fields),
        created_at=template.created_at,
    )
