"""dispatch.domain: who mail comes from: domains, senders, and the text they send."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain that mail may leave from once its DNS shows our key. The private key is never in here."""

    account_id: UUID
    id: UUID
    name: str
    verified: bool
    selector: str
    public_key: str
    found: tuple[dict[str, Any], ...] | None
    created_at: datetime
    checked_at: datetime | None = None
    verified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """A From identity on a domain."""

    account_id: UUID
    id: UUID
    domain_id: UUID
    domain_verified: bool
    name: str
    email: str
    reply_to: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Template:
    """Subject, html and text in Liquid. `fields` are the contact fields they use."""

    account_id: UUID
    id: UUID
    name: str
    channel: str
    subject: str
    html: str
    body: str
    fields: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MailList:
    """What this house knows of a list: its name for List-Id and its caps."""

    account_id: UUID
    list_id: UUID
    name: str
    key_kind: str
    caps: dict[str, Any]
    timezone: str
    controller: dict[str, Any]
    closed: bool
    version: int
