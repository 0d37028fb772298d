"""common.contracts.mailings: events of mailings.v1."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from mailmaker.common.contracts.event import Event, declared
from mailmaker.common.contracts.topic import MAILINGS, Topic


@declared
class MailingChanged(Event):
    """A mailing entered a state, with its counts at that moment."""

    topic: ClassVar[Topic] = MAILINGS
    type: Literal["mailing.changed"] = "mailing.changed"
    mailing_id: UUID
    number: int
    state: Literal["scheduled", "running", "paused", "finished", "cancelled", "failed"]
    counts: dict[str, int]
    version: int

    def key(self) -> str:
        return str(self.mailing_id)
