"""common.contracts.internal: the models of every hand-shake between houses over internal HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from mailmaker.common.contracts.contacts import CapPolicy, Controller, KeyKind
from mailmaker.common.contracts.suppressions import Door, Reason, Scope
from mailmaker.common.mail.address import Channel
from pydantic import BaseModel, ConfigDict, Field


class Wire(BaseModel):
    """A frozen body between houses; a newer sender's extra fields are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class AccountRow(Wire):
    """contacts' word on one account."""

    account_id: UUID
    number: int
    name: str
    state: Literal["open", "suspended", "closed"]
    version: int


class KeyRow(Wire):
    """contacts' word on one API key; the secret's SHA-256, hex."""

    key_id: UUID
    account_id: UUID
    secret_hash: str
    scopes: tuple[str, ...]
    list_ids: tuple[UUID, ...] | None = None
    expires_at: datetime | None = None
    revoked: bool = False
    version: int


class KeysPage(Wire):
    """What changed among accounts and keys after a version. `more` asks for another pull at once."""

    accounts: tuple[AccountRow, ...]
    keys: tuple[KeyRow, ...]
    version: int
    more: bool = False


class ListRow(Wire):
    """contacts' word on one list."""

    account_id: UUID
    list_id: UUID
    name: str
    key_kind: KeyKind
    default_country: str
    timezone: str
    controller: Controller
    caps: CapPolicy
    fields: tuple[CustomField, ...] = ()
    closed: bool = False
    version: int


class CustomField(Wire):
    """A typed field of a list. Its values are kept under `key`, whatever its name is; empty is the name."""

    name: str
    type: Literal["text", "number", "date", "boolean", "enum"]
    values: tuple[str, ...] = ()
    key: str = ""


class SegmentRow(Wire):
    """contacts' word on one segment. `broken`: its rule names what the list has no more."""

    account_id: UUID
    list_id: UUID
    segment_id: UUID
    name: str
    version: int
    retired: bool = False
    broken: bool = False


class SamePerson(Wire):
    """Another record of a contact's person, by keys (hex)."""

    contact_id: UUID
    email_key: str | None
    mobile_key: str | None


class ContactRow(Wire):
    """Whose contact an id is, by keys (hex): what a token door asks. `merged_into`: the records it has become part of,
    one after the other; what the person says by an old mail is meant for the last of them."""

    account_id: UUID
    list_id: UUID
    contact_id: UUID
    email_key: str | None
    mobile_key: str | None
    fkey: str | None
    merged_into: tuple[SamePerson, ...] = ()


class ContactMessage(Wire):
    """dispatch's word on one message that was meant for a contact."""

    message: UUID
    mailing: UUID
    mailing_name: str
    channel: Channel
    state: str
    reason: str | None = None
    sent_at: datetime | None = None
    ended_at: datetime | None = None


class ContactMessages(Wire):
    """The latest messages meant for a contact, newest mailing first; `more`: there were earlier ones."""

    items: tuple[ContactMessage, ...]
    more: bool = False


class ImportProgress(Wire):
    """contacts tells ingest how an import goes on."""

    import_id: UUID
    account_id: UUID
    state: Literal["planned", "quarantined", "applied", "undone", "failed"]
    counts: dict[str, int] = Field(default_factory=dict)
    done: int = 0
    total: int = 0
    error_code: str | None = None
    error_detail: str | None = None
    holds_lines: bool = False
    """The digests of its rows are kept: the next file may be told by its lines (contracts.lines)."""
    at: datetime


class No(Wire):
    """A "no" that another house heard and committed. `id` makes the hand-over idempotent."""

    id: UUID
    account_id: UUID
    channel: Channel = "email"
    scope: Scope | None = None
    """None: what the reason's table says."""
    door: Door
    reason: Reason
    contact_id: UUID | None = None
    list_id: UUID | None = None
    fkey: str | None = None
    address_key: str | None = None
    mailing_number: int | None = None
    received_at: datetime
    evidence: dict[str, str] = Field(default_factory=dict)
    whole: bool = False
    """Said by the house that knows the contact, with every key it had then: there is nothing to ask it later."""


class NosBatch(Wire):
    items: tuple[No, ...] = Field(max_length=500)


class NosAnswer(Wire):
    accepted: tuple[UUID, ...]


class Release(Wire):
    """An import that states a lawful basis asks for one list-level opt-out to be lifted: the one release that the person
    did not make. `list_id` is the import's list; whoever said "no", or said it again, after `not_after` stays out."""

    id: UUID
    account_id: UUID
    suppression_id: UUID
    list_id: UUID
    not_after: datetime
    basis: str
    sent_by: UUID
    evidence: dict[str, str] = Field(default_factory=dict)


class ReleasesBatch(Wire):
    items: tuple[Release, ...] = Field(max_length=500)


class ReleasesAnswer(Wire):
    """The opt-outs that are lifted; the others stand."""

    released: tuple[UUID, ...]


class InFlight(Wire):
    """One message that a "no" stopped, or that had begun before it."""

    message: UUID
    mailing: UUID
    channel: Channel


class Enforcement(Wire):
    """dispatch's word: from `enforced_at` on no send to this feed item begins."""

    number: int
    account_id: UUID
    suppression_id: UUID
    enforced_at: datetime
    stopped: tuple[InFlight, ...] = ()
    in_flight: tuple[InFlight, ...] = ()


class EnforcedBatch(Wire):
    items: tuple[Enforcement, ...] = Field(max_length=500)


class FeedItem(Wire):
    """One numbered line of the feed of every "no". A message or contact matches when the channel is equal, one of
    `subjects` (hex, common.mail.subjects) is its own, and `list_id` is None or its list."""

    number: int
    suppression_id: UUID
    account_id: UUID
    channel: Channel
    scope: Scope
    list_id: UUID | None
    subjects: tuple[str, ...]
    reason: Reason
    door: Door
    released: bool = False
    received_at: datetime
    recorded_at: datetime


class FeedPage(Wire):
    """`confirmed_age`: seconds since every suppression process last vouched that it holds no unnumbered "no"."""

    items: tuple[FeedItem, ...]
    head: int
    confirmed_age: float
    pepper_check: str


ListRow.model_rebuild()
