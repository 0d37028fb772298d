"""fbl.domain.report: a report as it is first kept, and once it is settled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from mailmaker.fbl.domain.findings import Findings
from mailmaker.fbl.domain.mailbox import Box
from mailmaker.fbl.domain.verdict import Acted, Kind, Verdict


@dataclass(frozen=True, slots=True)
class NewReport:
    """A mail to one mailbox. `account_id` is nil while nobody is known."""

    account_id: UUID
    id: UUID
    sha256: bytes
    size: int
    box: Box
    rcpt: str
    mail_from: str
    peer: str
    helo: str
    received_at: datetime
    state: Literal["waiting", "settled"]
    kind: Kind
    acted: Acted
    attributed: bool
    message_id: str | None = None
    token_text: str | None = None
    suppression_id: UUID | None = None
    contact_id: UUID | None = None
    mailing_number: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A report claimed for parsing."""

    account_id: UUID
    id: UUID
    sha256: bytes
    box: Box
    received_at: datetime
    tries: int
    attributed: bool
    contact_id: UUID | None
    mailing_number: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What is written on a parsed report. `account_id` is where it belongs from now on."""

    account_id: UUID
    verdict: Verdict
    findings: Findings
    token_text: str | None
    attributed: bool
    suppression_id: UUID | None
    contact_id: UUID | None
    mailing_number: int | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A report as it is read."""

    account_id: UUID
    id: UUID
    sha256: bytes
    kind: Kind
    received_at: datetime
    rcpt: str
    message_id: str | None
    feedback_type: str | None
    recipients: tuple[dict[str, object], ...]
    address: str | None
    token: str | None
    original_message_id: str | None
    attributed: bool
    acted: Acted
    suppression_id: UUID | None
    error: str | None


def same_message_id(text: str) -> tuple[str, str]:
    """Both ways of writing a Message-ID: as the header has it, and without the angle brackets."""
    bare = text.strip().removeprefix("<").removesuffix(">")
    return f"<{bare}>", bare
