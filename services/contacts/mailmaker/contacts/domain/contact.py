"""contacts.domain.contact: one record of one list, and what a write makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from mailmaker.common.mail.address import Channel
from mailmaker.contacts.domain.consent import Consent, at_most
from mailmaker.contacts.domain.lists import STANDARD_FIELDS

Value = str | date | None
Json = str | int | float | bool | None
CHANNELS: tuple[Channel, Channel] = ("email", "sms")


@dataclass(frozen=True, slots=True)
class AddressKeys:
    """What joins a contact to the "no"s said for it: keyed hashes, never the addresses themselves."""

    email: bytes | None = None
    mobile: bytes | None = None
    fkey: bytes | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a write names, canonical and typed. A field it does not name stays; one named None is cleared."""

    values: Mapping[str, Value] = field(default_factory=dict)
    custom: Mapping[str, Json] = field(default_factory=dict)
    email_consent: Consent | None = None
    sms_consent: Consent | None = None

    @property
    def consents(self) -> tuple[Consent | None, Consent | None]:
        return self.email_consent, self.sms_consent


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact. `values` has every standard field, `custom` only those that have a value."""

    account_id: UUID
    list_id: UUID
    id: UUID
    key_text: str
    values: Mapping[str, Value]
    custom: Mapping[str, Json]
    email_consent: Consent
    sms_consent: Consent
    keys: AddressKeys
    created_at: datetime
    changed_at: datetime
    version: int

    def facts(self) -> dict[str, Value | Json]:
        """Every field by its name, as histories and answers show it."""
        return {
            **self.values,
            **{f"custom.{name}": value for name, value in self.custom.items()},
            "email_consent": str(self.email_consent),
            "sms_consent": str(self.sms_consent),
        }

    @property
    def consents(self) -> tuple[Consent, Consent]:
        return self.email_consent, self.sms_consent

    @property
    def addresses(self) -> tuple[Value, Value, Value]:
        return self.values.get("email"), self.values.get("mobile"), self.values.get("fkey")


def blank(wish: Wish) -> dict[str, Value]:
    """A new contact's standard fields."""
    return {name: wish.values.get(name) for name in STANDARD_FIELDS}


def after(contact: Contact, wish: Wish) -> Contact:
    """The contact as the wish leaves it. Consent may only go down (consent.at_most)."""
    custom = {**contact.custom, **wish.custom}
    return replace(
        contact,
        values={**contact.values, **wish.values},
        custom={name: value for name, value in custom.items() if value is not None},
        email_consent=at_most(contact.email_consent, wish.email_consent),
        sms_consent=at_most(contact.sms_consent, wish.sms_consent),
    )


def difference(before: Contact | None, now: Contact | None) -> tuple[dict[str, object], dict[str, object]]:
    """The fields that differ, as (before, after); fields without a value are left out of the side that lacks them."""
    old = before.facts() if before else {}
    new = now.facts() if now else {}
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return _side(old, names), _side(new, names)


def _side(facts: Mapping[str, Value | Json], names: list[str]) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value := facts[name], date) else value
        for name in names
        if facts.get(name) is not None
    }


def said_no(before: Contact | None, now: Contact) -> tuple[Channel, ...]:
    """Channels on which this write itself says "no" for the contact: suppression must hear of it, so that mail of
    running mailings stops as it does for a "no" said at any other door."""
    was = (before.email_consent, before.sms_consent) if before else (Consent.SUBSCRIBED, Consent.SUBSCRIBED)
    channels = zip(CHANNELS, was, (now.email_consent, now.sms_consent), strict=True)
    return tuple(
        name for name, old, new in channels if new is Consent.UNSUBSCRIBED and old is not Consent.UNSUBSCRIBED
    )


def said_again(before: Contact | None, wished: tuple[Consent | None, Consent | None]) -> tuple[Channel, ...]:
    """Channels on which a write says "no" for a contact that is out already: perhaps only by a "no" that an operator may
    take back, and this one is the person's. `wished`: what the write says of e-mail and SMS."""
    if before is None:
        return ()
    channels = zip(CHANNELS, (before.email_consent, before.sms_consent), wished, strict=True)
    return tuple(
        name for name, is_, said in channels if is_ is Consent.UNSUBSCRIBED and said is Consent.UNSUBSCRIBED
    )
