"""suppression.api.schemas: what this house's JSON doors take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from mailmaker.common.contracts.internal import InFlight
from mailmaker.common.contracts.suppressions import Door, Reason, Scope
from mailmaker.common.mail.address import Channel
from mailmaker.suppression.domain.wish import Wish
from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class WishBody(BaseModel):
    """A "no" that the client's own opt-out system heard. One of email, mobile and fkey names the person."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel
    scope: Scope = Field(description="This list only, or every list of the account.")
    reason: Reason
    list: UUID | None = Field(None, description="Needed for the scope list, and with an fkey.")
    email: str | None = Field(None, max_length=1000)
    mobile: str | None = Field(
        None, max_length=100, description="E.164, or as the list's default country writes it."
    )
    fkey: str | None = Field(None, max_length=1000)
    received_at: datetime | None = Field(
        None, description="When the client heard it; evidence only, never an order."
    )

    def wish(self) -> Wish:
        return Wish(
            self.channel,
            self.scope,
            self.reason,
            self.list,
            self.email,
            self.mobile,
            self.fkey,
            self.received_at,
        )


class WishesBody(BaseModel):
    """Up to a thousand of them, answered one by one."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[WishBody], Field(min_length=1, max_length=1000)]


class ReleaseBody(BaseModel):
    """Why it is taken back."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class SuppressionView(BaseModel):
    """One entry of the ledger. `stopped` and `in_flight` are what dispatch answered when it was enforced; messages in
    `in_flight` had begun and may still leave."""

    id: UUID
    channel: Channel
    scope: Scope
    list: UUID | None
    contact: UUID | None = Field(description="Known when the person used a link of one of our mails.")
    door: Door
    reason: Reason
    received_at: datetime
    recorded_at: datetime
    enforced_at: datetime | None
    stopped: tuple[InFlight, ...]
    in_flight: tuple[InFlight, ...]
    released_at: datetime | None
    release_reason: str | None
    release_evidence: dict[str, str] | None = Field(
        None, description="Of a release by an import: its id, who sent it, how many people it named."
    )


class RepetitionView(BaseModel):
    """The same "no", said again."""

    door: Door
    reason: Reason
    received_at: datetime
    recorded_at: datetime


class FullView(SuppressionView):
    """One entry with its evidence and how often it was said again."""

    numbers: tuple[int, ...] = Field(description="The account's feed numbers of this entry.")
    evidence: dict[str, str]
    repetitions: tuple[RepetitionView, ...]


class FaultView(BaseModel):
    """What is wrong with one item."""

    pointer: str
    code: str
    detail: str


class ItemView(BaseModel):
    """One item's answer: 201 recorded, 200 said before, 422 not understood (and not recorded)."""

    status: int
    suppression: SuppressionView | None = None
    errors: tuple[FaultView, ...] = ()


class ItemsView(BaseModel):
    """One answer an item, in order."""

    items: list[ItemView]


class FeedLineView(BaseModel):
    """One line of the account's feed."""

    number: int
    suppression: UUID
    channel: Channel
    scope: Scope
    list: UUID | None
    contact: UUID | None
    subjects: tuple[str, ...] = Field(description="Suppression keys, hex; never an address.")
    reason: Reason
    door: Door
    released: bool
    received_at: datetime
    recorded_at: datetime


class FeedView(BaseModel):
    """Lines after a number, in order and without a gap; `head` is the account's newest number."""

    items: list[FeedLineView]
    head: int


class JournalView(BaseModel):
    """A local journal that the platform's feed waits for."""

    id: UUID
    host: str
    pid: int
    started_at: datetime
    touched_at: datetime


class JournalsView(BaseModel):
    """Every journal, the one that vouches for least first."""

    items: list[JournalView]
