"""fbl.api.schemas: the shape of a report."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from mailmaker.fbl.domain.report import Stored
from mailmaker.fbl.domain.verdict import Acted, Kind
from pydantic import BaseModel, Field, PlainSerializer

Moment = Annotated[
    datetime,
    PlainSerializer(
        lambda at: at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"), str
    ),
]


class RecipientView(BaseModel):
    """One recipient, as the mail itself says."""

    address: str | None
    action: str | None
    status: str | None
    category: str | None
    permanent: bool


class IdentityView(BaseModel):
    """Whose mail it was about, as the mail itself says."""

    address: str | None
    token: str | None
    original_message_id: str | None


class ReportView(BaseModel):
    """One inbound mail to one of our mailboxes."""

    id: UUID
    sha256: str
    kind: Kind
    received_at: Moment
    rcpt: str
    message_id: str | None
    feedback_type: str | None
    recipients: list[RecipientView]
    identity: IdentityView
    attributed: bool
    acted: Acted
    suppression: UUID | None
    error: str | None


class ReportWithRaw(ReportView):
    """A report with the mail itself."""

    raw: str = Field(
        description="The mail as it came after DATA, base64. `Accept: message/rfc822` gives the bytes."
    )


def view(stored: Stored) -> ReportView:
    return ReportView(
        id=stored.id,
        sha256=stored.sha256.hex(),
        kind=stored.kind,
        received_at=stored.received_at,
        rcpt=stored.rcpt,
        message_id=stored.message_id,
        feedback_type=stored.feedback_type,
        recipients=[RecipientView.model_validate(one) for one in stored.recipients],
        identity=IdentityView(
            address=stored.address, token=stored.token, original_message_id=stored.original_message_id
        ),
        attributed=stored.attributed,
        acted=stored.acted,
        suppression=stored.suppression_id,
        error=stored.error,
    )


def with_raw(stored: Stored, raw: bytes) -> ReportWithRaw:
    return ReportWithRaw(**view(stored).model_dump(), raw=base64.b64encode(raw).decode())
