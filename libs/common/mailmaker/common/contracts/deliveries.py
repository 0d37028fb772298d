"""common.contracts.deliveries: events of deliveries.v1."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from mailmaker.common.contracts.event import CHUNK, Event, declared
from mailmaker.common.contracts.topic import DELIVERIES, Topic
from pydantic import BaseModel, ConfigDict, Field


class Outcome(BaseModel):
    """How one attempt at one message ended."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    message_id: UUID
    mailing_id: UUID
    contact_id: UUID
    address_key: str
    state: str
    at: datetime
    reply_code: int | None = None
    source: str | None = None


@declared
class OutcomesRecorded(Event):
    """Attempts of one account that ended together."""

    topic: ClassVar[Topic] = DELIVERIES
    type: Literal["outcomes.recorded"] = "outcomes.recorded"
    channel: Literal["email", "sms"]
    outcomes: tuple[Outcome, ...] = Field(max_length=CHUNK)


class Engagement(BaseModel):
    """One contact opened a mailing, or followed a link of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    mailing_id: UUID
    contact_id: UUID
    at: datetime


@declared
class EngagementRecorded(Event):
    """People of one account opened mailings or followed their links: people, not machines, and opens only where the
    person agreed to have them recorded."""

    topic: ClassVar[Topic] = DELIVERIES
    type: Literal["engagement.recorded"] = "engagement.recorded"
    kind: Literal["opened", "clicked"]
    items: tuple[Engagement, ...] = Field(max_length=CHUNK)


@declared
class SuppressionEnforced(Event):
    """From `enforced_at` on no send to this "no" begins; `in_flight` had begun and may still arrive."""

    topic: ClassVar[Topic] = DELIVERIES
    type: Literal["suppression.enforced"] = "suppression.enforced"
    suppression_id: UUID
    number: int
    enforced_at: datetime
    stopped: int
    in_flight: tuple[UUID, ...] = ()

    def key(self) -> str:
        return f"{self.account_id}/{self.suppression_id}"
