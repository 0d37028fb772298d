"""dispatch.domain: why a contact got a mail, or why not: one decision for each (mailing, contact)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Verdict = Literal["sent", "not_sent", "pending", "unknown"]

_VERDICTS: dict[str, Verdict] = {
    "delivered": "sent",
    "bounced": "not_sent",
    "expired": "not_sent",
    "suppressed": "not_sent",
    "capped": "not_sent",
    "cancelled": "not_sent",
    "skipped": "not_sent",
    "uncertain": "unknown",
}
_WHY = {
    "queued": "waits for its turn",
    "scheduled": "waits for its time",
    "claimed": "is being prepared by a relay",
    "sending": "is on its way to the server",
    "delivered": "the receiving server took it",
    "deferred": "the receiving server asked to try again later",
    "bounced": "the receiving server refused it for good",
    "expired": "its time ran out before a server took it",
    "uncertain": "a relay died while it was being sent; it is not sent again",
    "suppressed": "the recipient said no",
    "capped": "the list's cap was used up",
    "held": "the list's cap is used up; it waits for the next window",
    "cancelled": "the mailing was cancelled",
    "skipped": "the recipient was left out",
}
_REASONS = {
    "consent": "the contact is not subscribed to this channel",
    "duplicate": "another contact of this mailing has the same address",
    "address": "the stored address is not in the form we write to servers",
    "no_address": "the contact has no address for this channel",
    "address_changed": "the contact has another address now; what waited for the old one is not sent",
    "contact_removed": "the contact was removed from its list",
    "contact_erased": "the contact was erased",
    "connect": "the recipient's server could not be reached; it is tried again",
    "null_mx": "the recipient's domain says that it takes no mail",
    "no_such_domain": "the recipient's domain does not exist, or has no mail server",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One recipient of one mailing, as it stands."""

    id: UUID
    mailing_id: UUID
    list_id: UUID
    contact_id: UUID
    channel: str
    address: str
    fkey: str | None
    state: str
    reason: str | None
    detail: dict[str, Any]
    attempts: int
    due_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None
    reply_code: int | None
    reply_text: str | None
    source: str | None
    route: str | None

    @property
    def cap_holders(self) -> tuple[int, ...]:
        """The numbers of the mailings that hold the cap which refused this one, each once, the earliest first."""
        return tuple(dict.fromkeys(int(number) for number in self.detail.get("holders", ())))


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided and why, in words a client may show. `until` is when it will be looked at again."""

    verdict: Verdict
    why: str
    until: datetime | None


def decide(message: Message) -> Decision:
    """Explains a message's state."""
    verdict = _VERDICTS.get(message.state, "pending")
    why = _WHY[message.state]
    if message.reason in _REASONS:
        why = _REASONS[message.reason]
    until = message.due_at if message.state in ("scheduled", "deferred", "held") else None
    return Decision(verdict, why, until)
