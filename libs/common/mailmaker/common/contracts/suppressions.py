"""common.contracts.suppressions: events of suppressions.v1, and the words of a "no"."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from mailmaker.common.contracts.event import Event, declared
from mailmaker.common.contracts.topic import SUPPRESSIONS, Topic

Door = Literal["link", "one_click", "mail", "fbl", "abuse", "api", "file", "sms", "form", "operator"]
Reason = Literal["unsubscribe", "complaint", "hard_bounce", "soft_bounce", "invalid", "erased", "manual"]
Scope = Literal["list", "account"]


class _OfSubject(Event):
    topic: ClassVar[Topic] = SUPPRESSIONS
    suppression_id: UUID
    channel: Literal["email", "sms"]
    scope: Scope
    list_id: UUID | None
    subject: str
    """One suppression key, hex (common.mail.subjects)."""
    version: int
    """The feed number: a higher one is the newer state of this key."""

    def key(self) -> str:
        return f"{self.account_id}/{self.channel}/{self.list_id or 'account'}/{self.subject}"


@declared
class AddressSuppressed(_OfSubject):
    """A "no" is in the ledger. Receivers pull the feed; this only wakes them."""

    type: Literal["address.suppressed"] = "address.suppressed"
    reason: Reason
    door: Door
    recorded_at: datetime


@declared
class AddressReleased(_OfSubject):
    """A "no" was lifted, by whom may lift it."""

    type: Literal["address.released"] = "address.released"
