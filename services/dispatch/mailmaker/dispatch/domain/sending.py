"""dispatch.domain: who mail comes from: domains, senders, and the text they send."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Algorithm = Literal["rsa", "ed25519"]
KeyState = Literal["waiting", "signing", "next", "retired"]


@dataclass(frozen=True, slots=True)
class DomainKey:
    """A DKIM key by its public half. `waiting`: signs nothing, for its record was not found; `signing`; `next`: takes over
    once its record is found; `retired`: signs nothing any more, its record verifies what is under way."""

    selector: str
    algorithm: Algorithm
    public_key: str
    state: KeyState
    since: datetime


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain that mail may leave from once its DNS shows our RSA key, `selector` and `public_key`. `others` are its other
    keys, first the Ed25519 key that signs with it. Private keys are never in here."""

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
    others: tuple[DomainKey, ...] = ()

    @property
    def keys(self) -> tuple[DomainKey, ...]:
        """All keys, first the RSA key that signs."""
        state: KeyState = "signing" if self.verified else "waiting"
        return (
            DomainKey(self.selector, "rsa", self.public_key, state, self.verified_at or self.created_at),
            *self.others,
        )

    @property
    def has_second(self) -> bool:
        """Whether there is an Ed25519 key beside the RSA key."""
        return any(key.algorithm == "ed25519" and key.state in ("waiting", "signing") for key in self.others)

    @property
    def has_next(self) -> bool:
        """Whether there are keys that wait to take over."""
        return any(key.state == "next" for key in self.others)


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
