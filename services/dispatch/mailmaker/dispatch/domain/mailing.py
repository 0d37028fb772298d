"""dispatch.domain: a mailing, its states, and which verb leads from one to the other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

MailingState = Literal["draft", "scheduled", "running", "paused", "finished", "cancelled", "failed"]
Verb = Literal["start", "pause", "resume", "cancel"]
MailClass = Literal["marketing", "transactional"]

_LEADS: dict[tuple[MailingState, Verb], MailingState] = {
    ("draft", "start"): "running",
    ("running", "pause"): "paused",
    ("paused", "resume"): "running",
    ("draft", "cancel"): "cancelled",
    ("scheduled", "cancel"): "cancelled",
    ("running", "cancel"): "cancelled",
    ("paused", "cancel"): "cancelled",
}
_STANDS: frozenset[tuple[MailingState, Verb]] = frozenset(
    {
        ("running", "start"),
        ("scheduled", "start"),
        ("paused", "pause"),
        ("running", "resume"),
        ("cancelled", "cancel"),
    }
)


@dataclass(frozen=True, slots=True)
class Mailing:
    """One text from one sender to the contacts of some lists. The text is a copy: templates may change."""

    account_id: UUID
    account_number: int
    id: UUID
    number: int
    name: str
    channel: str
    mail_class: MailClass
    state: MailingState
    template_id: UUID
    sender_id: UUID
    domain_id: UUID
    list_ids: tuple[UUID, ...]
    subject: str
    html: str
    body: str
    fields: tuple[str, ...]
    from_name: str
    from_email: str
    reply_to: str | None
    rate: int | None
    schedule: datetime | None
    valid_until: datetime | None
    failure: str | None
    created_at: datetime
    started_at: datetime | None
    expanded_at: datetime | None
    ended_at: datetime | None
    version: int
    segment_id: UUID | None = None
    segment_version: int | None = None
    """The version of the segment's rule that the start froze; None before."""
    tag: str | None = None
    """The client's word for this kind of mailing: rules of egress may ask for it."""


def state_after(state: MailingState, verb: Verb, *, scheduled: bool = False) -> MailingState | None:
    """The state a verb leads to; the same one when it stands there already; None when it may not go."""
    if (state, verb) in _STANDS:
        return state
    target = _LEADS.get((state, verb))
    if target == "running" and verb == "start" and scheduled:
        return "scheduled"
    return target
