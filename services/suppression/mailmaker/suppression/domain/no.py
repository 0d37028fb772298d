"""suppression.domain.no: a "no" as a door hands it over, and the places where it is in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.suppressions import Door, Reason, Scope
from mailmaker.common.mail.address import Channel
from mailmaker.suppression.domain.reasons import RULES, Kind

CONTACT = b"c"
"""First byte of a contact's suppression key (common.mail.subjects)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a "no" is in force, as the feed says it. `list_id` None: in every list, or, for a contact, in the one
    list it is a record of."""

    channel: Channel
    scope: Scope
    list_id: UUID | None
    subject: bytes
    kind: Kind

    def identity(self) -> Place:
        """Equal for places that say the same. A contact is a record of one list, so its list-level "no" recorded
        before contacts could name the list is the same as the one after."""
        if self.scope == "list" and self.subject.startswith(CONTACT):
            return replace(self, list_id=None)
        return self


@dataclass(frozen=True, slots=True)
class No:
    """A "no" with its evidence. `named` is the key the door named; `others` are keys known to be the same person.

    `incomplete`: contacts did not answer, so list and address keys are still to be asked for.
    """

    id: UUID
    account_id: UUID
    channel: Channel
    scope: Scope
    list_id: UUID | None
    named: bytes
    door: Door
    reason: Reason
    received_at: datetime
    others: tuple[bytes, ...] = ()
    contact_id: UUID | None = None
    incomplete: bool = False
    evidence: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return RULES[self.reason].kind

    @property
    def subjects(self) -> tuple[bytes, ...]:
        """Each key once: records that became one person often share an address."""
        return tuple(dict.fromkeys((self.named, *self.others)))

    def place(self, subject: bytes) -> Place:
        return Place(
            self.channel, self.scope, None if self.scope == "account" else self.list_id, subject, self.kind
        )
