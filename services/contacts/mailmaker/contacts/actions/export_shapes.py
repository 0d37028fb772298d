"""contacts.actions.export_shapes: what is asked of exports, and what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from mailmaker.contacts.actions.shapes import Asked
from mailmaker.contacts.domain.exports import Export, ExportState, ExportWish
from pydantic import BaseModel, Field

ConsentName = Literal["subscribed", "pending", "unsubscribed"]


class ConsentWish(Asked):
    """Only contacts with these consents."""

    email: ConsentName | None = None
    sms: ConsentName | None = None


class ExportAsked(Asked):
    """What to write into the file. Without a segment, the whole list; without columns, every field and the consents."""

    format: Literal["csv", "xlsx"] = "csv"
    columns: list[str] | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Fields by name, in the order of the file; also id, email_consent, sms_consent, created_at, changed_at.",
    )
    segment: UUID | None = Field(
        None, description="Only whom this segment of the list means when the file is made."
    )
    consent: ConsentWish = ConsentWish()

    def wish(self, segment_version: int | None) -> ExportWish:
        return ExportWish(
            self.format,
            tuple(self.columns or ()),
            self.segment,
            segment_version,
            self.consent.email,
            self.consent.sms,
        )


class ExportProgress(BaseModel):
    """Contacts written, of how many."""

    done: int
    total: int


class ExportError(BaseModel):
    """Why there is no file."""

    code: str
    detail: str


class ExportView(BaseModel):
    """An export. `ready`: the file is at `download_url` until `expires_at`. `failed`, `removed` (by an erasure, or asked
    for) and `expired` have none; `error` says why. `size` is in bytes."""

    id: UUID
    list: UUID
    state: ExportState
    format: Literal["csv", "xlsx"]
    columns: Sequence[str]
    segment: UUID | None
    consent: ConsentWish
    progress: ExportProgress
    size: int | None
    download_url: str | None
    error: ExportError | None
    created_at: datetime
    ready_at: datetime | None
    expires_at: datetime | None

    @classmethod
    def of(cls, it: Export) -> ExportView:
        if it.list_id is None or it.wish.format == "zip":
            raise TypeError("not a list's export")
        ready = it.state is ExportState.READY
        return cls(
            id=it.id,
            list=it.list_id,
            state=it.state,
            format=it.wish.format,
            columns=it.wish.columns,
            segment=it.wish.segment,
            consent=ConsentWish.model_validate({"email": it.wish.email_consent, "sms": it.wish.sms_consent}),
            progress=ExportProgress(done=it.done, total=it.total),
            size=it.size if ready else None,
            download_url=f"/v1/lists/{it.list_id}/exports/{it.id}/file" if ready else None,
            error=None if it.error is None else ExportError(code=it.error[0], detail=it.error[1]),
            created_at=it.created_at,
            ready_at=it.ready_at,
            expires_at=it.expires_at,
        )
