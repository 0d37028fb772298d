"""contacts.domain.lists: what a list is, its key, its fields."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from mailmaker.common.contracts.contacts import CapPolicy, Controller
from mailmaker.common.mail.address import folded

MOST_LISTS = 500
"""Lists an account may have until the operator says otherwise."""
MOST_FIELDS = 100

STANDARD_FIELDS: tuple[str, ...] = (
    "email",
    "mobile",
    "fkey",
    "name",
    "surname",
    "sex",
    "birth_date",
    "province",
    "region",
    "city",
    "postal_code",
    "country",
    "language",
)
RESERVED = frozenset(STANDARD_FIELDS) | {"custom", "id", "consent", "email_consent", "sms_consent", "list"}
FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")


class KeyKind(StrEnum):
    """What identifies a contact in its list; fixed when the list is opened."""

    EMAIL = "email"
    MOBILE = "mobile"
    FKEY = "fkey"


class FieldType(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    ENUM = "enum"


@dataclass(frozen=True, slots=True)
class Field:
    """A typed field of one list, beside the standard ones. `values` are an enum's.

    `id` is what its values are kept under, for ever: a rename changes the name alone. Empty is the name itself.
    """

    name: str
    type: FieldType
    values: tuple[str, ...] = ()
    id: str = ""

    @property
    def key(self) -> str:
        """The member of a contact's `custom` that holds the field's value."""
        return self.id or self.name


@dataclass(frozen=True, slots=True)
class ContactList:
    """A list as it stands at one `version`."""

    account_id: UUID
    id: UUID
    name: str
    key: KeyKind
    default_country: str
    timezone: str
    controller: Controller
    caps: CapPolicy
    opened_at: datetime
    changed_at: datetime
    version: int
    closed: bool = False
    fields: tuple[Field, ...] = field(default=())
    retired: tuple[Field, ...] = field(default=())
    """Fields that are in use no more: their values stay with their contacts, unseen, until they come back."""


def key_text(kind: KeyKind, email: str | None, mobile: str | None, fkey: str | None) -> str | None:
    """How a contact's key is compared within its list; None where the contact has none. Inputs are canonical."""
    if kind is KeyKind.EMAIL:
        return folded(email) if email else None
    if kind is KeyKind.MOBILE:
        return mobile
    return fkey


def is_timezone(name: str) -> bool:
    """Whether the IANA database knows the zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def cap_faults(policy: CapPolicy) -> tuple[tuple[str, str, str], ...]:
    """What is wrong with a cap policy, as (JSON pointer, code, detail). Shapes and ranges are the door's to check."""
    faults: list[tuple[str, str, str]] = []
    for channel, cap in (("email", policy.email), ("sms", policy.sms)):
        if not is_timezone(cap.timezone):
            faults.append((f"/{channel}/timezone", "timezone.unknown", "not an IANA time zone"))
        if cap.hold_at_most is not None and cap.on_cap != "hold":
            faults.append(
                (f"/{channel}/hold_at_most", "caps.hold_unused", 'only on_cap "hold" holds messages')
            )
    return tuple(faults)
