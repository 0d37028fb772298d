"""common.contracts.contacts: events of contacts.v1."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from mailmaker.common.contracts.event import CHUNK, Event, declared
from mailmaker.common.contracts.topic import CONTACTS, Topic
from pydantic import BaseModel, ConfigDict, Field

KeyKind = Literal["email", "mobile", "fkey"]


class ChannelCap(BaseModel):
    """How many messages one recipient of a list may get. None is unlimited, 0 is none at all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: int | None = Field(default=None, ge=0, le=100_000)
    week: int | None = Field(default=None, ge=0, le=100_000)
    month: int | None = Field(default=None, ge=0, le=100_000)
    window: Literal["calendar", "rolling"] = "calendar"
    timezone: str = "Europe/Rome"
    week_starts_on: Literal["monday", "sunday", "saturday"] = "monday"
    on_cap: Literal["drop", "hold"] = "drop"
    hold_at_most: int | None = Field(default=None, ge=0, description="Seconds a message may be held.")


class CapPolicy(BaseModel):
    """A list's do-not-disturb rules, a channel each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: ChannelCap = ChannelCap()
    sms: ChannelCap = ChannelCap()


class Controller(BaseModel):
    """The person responsible for a list's data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    email: str = Field(min_length=3, max_length=254)


class _OfList(Event):
    topic: ClassVar[Topic] = CONTACTS
    list_id: UUID

    def key(self) -> str:
        return f"{self.account_id}/{self.list_id}"


@declared
class ListChanged(_OfList):
    """A list was opened, changed or closed. A current state: `version` orders it."""

    type: Literal["list.changed"] = "list.changed"
    name: str
    key_kind: KeyKind
    default_country: str
    timezone: str
    controller: Controller
    caps: CapPolicy
    closed: bool = False
    version: int


class ContactChange(BaseModel):
    """One contact after a change, by keys only (hex); addresses do not travel by bus."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    contact_id: UUID
    email_key: str | None = None
    mobile_key: str | None = None
    email_consent: str
    sms_consent: str
    version: int


@declared
class ContactsChanged(_OfList):
    """Contacts were created or updated. An unchanged contact makes no event."""

    type: Literal["contacts.changed"] = "contacts.changed"
    contacts: tuple[ContactChange, ...] = Field(max_length=CHUNK)


@declared
class ContactsRemoved(_OfList):
    """Contacts left the list: mail of running mailings to them is cancelled."""

    type: Literal["contacts.removed"] = "contacts.removed"
    contact_ids: tuple[UUID, ...] = Field(max_length=CHUNK)


@declared
class ContactsRestored(_OfList):
    """Contacts that had left the list are back under their ids: an import was undone. Mail may be sent to them again."""

    type: Literal["contacts.restored"] = "contacts.restored"
    contact_ids: tuple[UUID, ...] = Field(max_length=CHUNK)


@declared
class ContactsErased(_OfList):
    """Contacts were erased: every house forgets what it holds of them."""

    type: Literal["contacts.erased"] = "contacts.erased"
    contact_ids: tuple[UUID, ...] = Field(max_length=CHUNK)


@declared
class ImportPlanned(_OfList):
    """contacts compared a staged file with its list."""

    type: Literal["import.planned"] = "import.planned"
    import_id: UUID
    counts: dict[str, int]


@declared
class ImportQuarantined(_OfList):
    """A guard holds an import back until somebody approves it or takes it back. For whoever tells the list's data
    controller, whom `list.changed` names: why, without a word of the file."""

    type: Literal["import.quarantined"] = "import.quarantined"
    import_id: UUID
    code: str
    detail: str
    counts: dict[str, int]
    quarantined_at: datetime


@declared
class ImportApplied(_OfList):
    """contacts applied an import in one transaction."""

    type: Literal["import.applied"] = "import.applied"
    import_id: UUID
    counts: dict[str, int]
    applied_at: datetime


@declared
class ImportUndone(_OfList):
    """contacts took an applied import back in one transaction. Counts rows: restored, partly, kept (changed since)."""

    type: Literal["import.undone"] = "import.undone"
    import_id: UUID
    counts: dict[str, int]
    undone_at: datetime
