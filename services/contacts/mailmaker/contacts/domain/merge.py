"""contacts.domain.merge: two records of one person become one: the stricter word on each channel stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from mailmaker.contacts.domain.consent import at_most
from mailmaker.contacts.domain.contact import Contact
from mailmaker.contacts.domain.fields import CUSTOM
from mailmaker.contacts.domain.lists import STANDARD_FIELDS, ContactList

FaultAt = tuple[str, str, str]
Keep = Mapping[str, Literal["this", "other"]]


def keep_faults(keep: Keep, of: ContactList) -> list[FaultAt]:
    """What is wrong with a merge's choices, as (JSON pointer, code, detail)."""
    known = {*STANDARD_FIELDS, *(f"{CUSTOM}{f.name}" for f in of.fields)}
    return [
        (
            f"/keep/{name}",
            "field.unknown",
            "a standard field, or custom.NAME of the list; consent is not chosen",
        )
        for name in keep
        if name not in known
    ]


def merged(this: Contact, other: Contact, keep: Keep, of: ContactList) -> Contact:
    """This contact with what the other knew: its values where this has none, or where `keep` says so. Keys, key text,
    version and time are the caller's."""
    values = {
        name: other.values.get(name)
        if _others(this.values.get(name), keep.get(name))
        else this.values.get(name)
        for name in STANDARD_FIELDS
    }
    chosen = {f.key: keep.get(f"{CUSTOM}{f.name}") for f in of.fields}
    custom = {
        key: other.custom.get(key) if _others(this.custom.get(key), chosen.get(key)) else this.custom.get(key)
        for key in {**this.custom, **other.custom}
    }
    return replace(
        this,
        values=values,
        custom={key: value for key, value in custom.items() if value is not None},
        email_consent=at_most(this.email_consent, other.email_consent),
        sms_consent=at_most(this.sms_consent, other.sms_consent),
    )


def _others(mine: object, said: str | None) -> bool:
    return said == "other" or (said is None and mine is None)
