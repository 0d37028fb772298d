"""contacts.actions.history_shapes: what is answered when somebody asks what was done to a contact."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field, JsonValue


class HistoryEntry(BaseModel):
    """One thing done to a contact. `by` names an API key, an import or a suppression; `door` says where it came in."""

    at: datetime
    what: str
    by: str
    door: str | None
    before: dict[str, JsonValue]
    after: dict[str, JsonValue]


class SentView(BaseModel):
    """A message of a mailing that was meant for the contact. `GET /v1/decisions` says why it stands as it does."""

    message: UUID
    mailing: UUID
    mailing_name: str
    channel: str
    state: str
    reason: str | None
    sent_at: datetime | None
    ended_at: datetime | None


class HistoryView(BaseModel):
    """What we know was done to a contact, oldest first, and on the first page the messages meant for it, newest first.

    `messages_state`: complete; latest (there are more: `GET /v1/decisions?contact=`); unavailable (dispatch did not
    answer: ask again); first_page_only.
    """

    items: list[HistoryEntry]
    next: str | None = None
    messages: list[SentView] = Field(default=[])
    messages_state: Literal["complete", "latest", "unavailable", "first_page_only"] = "unavailable"
