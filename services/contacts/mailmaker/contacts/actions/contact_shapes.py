"""contacts.actions.contact_shapes: what is asked of contacts and plans, and what is answered."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from mailmaker.contacts.actions.shapes import Asked
from mailmaker.contacts.domain.contact import Contact
from mailmaker.contacts.domain.fields import by_names
from mailmaker.contacts.domain.lists import STANDARD_FIELDS, ContactList
from pydantic import BaseModel, Field, JsonValue

MOST_ITEMS = 1000
ConsentName = Literal["subscribed", "pending", "unsubscribed"]


class ContactWish(Asked):
    """A contact's fields. What is not named stays as it is; what is null is cleared. Consent can be lowered, not raised."""

    email: str | None = None
    mobile: str | None = None
    fkey: str | None = None
    name: str | None = None
    surname: str | None = None
    sex: str | None = None
    birth_date: str | None = None
    province: str | None = None
    region: str | None = None
    city: str | None = None
    postal_code: str | None = None
    country: str | None = None
    language: str | None = None
    custom: dict[str, JsonValue] | None = None
    email_consent: ConsentName | None = None
    sms_consent: ConsentName | None = None

    def named(self) -> dict[str, object]:
        """Only the fields the request names."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class BatchItem(Asked):
    """One contact to write, or to remove by its key."""

    op: Literal["upsert", "remove"] = "upsert"
    contact: ContactWish


class BatchWish(Asked):
    """Up to 1,000 contacts, in one transaction; an item that is wrong does not hold up the others."""

    items: list[BatchItem] = Field(min_length=1, max_length=MOST_ITEMS)


class ContactView(BaseModel):
    """A contact of one list."""

    id: UUID
    list: UUID
    email: str | None
    mobile: str | None
    fkey: str | None
    name: str | None
    surname: str | None
    sex: str | None
    birth_date: date | None
    province: str | None
    region: str | None
    city: str | None
    postal_code: str | None
    country: str | None
    language: str | None
    custom: dict[str, JsonValue]
    email_consent: ConsentName
    sms_consent: ConsentName
    created_at: datetime
    changed_at: datetime
    version: int

    @classmethod
    def of(cls, c: Contact, of: ContactList) -> ContactView:
        """The contact with the names its list's fields have now."""
        fields: dict[str, Any] = {name: c.values[name] for name in STANDARD_FIELDS}
        return cls(
            id=c.id,
            list=c.list_id,
            **fields,
            custom=by_names(c.custom, of),
            email_consent=c.email_consent.value,
            sms_consent=c.sms_consent.value,
            created_at=c.created_at,
            changed_at=c.changed_at,
            version=c.version,
        )


class UpsertView(BaseModel):
    """What an upsert did. `changed` names the fields that differ from before."""

    result: Literal["created", "updated", "unchanged"]
    changed: list[str]
    contact: ContactView


class FaultView(BaseModel):
    """One thing wrong with an item."""

    pointer: str
    code: str
    detail: str


class ItemView(BaseModel):
    """What became of one item of a batch."""

    result: Literal["created", "updated", "unchanged", "removed", "absent", "rejected"]
    id: UUID | None = None
    changed: list[str] = []
    errors: list[FaultView] = []


class BatchView(BaseModel):
    """One result an item, in their order."""

    items: list[ItemView]


class MergeWish(Asked):
    """Another contact of the list that is the same person. Where both have a value, this contact's stays; `keep` names
    the fields where the other's shall: `{"email": "other", "custom.points": "other"}`."""

    other: UUID
    keep: dict[str, Literal["this", "other"]] = Field(default={}, max_length=200)


class MergeView(BaseModel):
    """What a merge left: this contact, without the other. `changed` names the fields that differ from before."""

    id: UUID
    removed: UUID
    changed: list[str]
    version: int


class CountsView(BaseModel):
    """Counts of a plan. All but `removed` sum to `rows`."""

    rows: int
    created: int
    updated: int
    unchanged: int
    removed: int
    protected: int
    rejected: int
    duplicate: int


class UndoneView(BaseModel):
    """What became of a plan's rows when it was undone: wholly restored, in part, or kept because they changed since."""

    restored: int
    partly: int
    kept: int


class LawfulBasisView(BaseModel):
    """Why opt-outs were lifted, as who sent the file stated it; `people`: how many are back for it."""

    text: str
    consented_at: datetime | None
    sent_by: UUID | None
    people: int


class PlanView(BaseModel):
    """What an import would do, and what it did."""

    import_id: UUID
    list: UUID
    mode: str
    state: str
    counts: CountsView | None
    applied: CountsView | None
    undone: UndoneView | None
    lawful_basis: LawfulBasisView | None = Field(
        None, description="Stated where the import does not protect past cancellations."
    )
    error: FaultView | None
    staged_at: datetime
    planned_at: datetime | None
    applied_at: datetime | None
    undone_at: datetime | None


class PlanRowView(BaseModel):
    """One row of a plan that is not unchanged: the fields that differ. `line` is the file's; a removed contact has none.
    `undone`: what became of it when the import was taken back."""

    action: Literal["created", "updated", "removed", "protected"]
    contact: UUID
    line: int | None
    before: dict[str, JsonValue]
    after: dict[str, JsonValue]
    undone: Literal["restored", "partly", "kept"] | None
