"""contacts.domain.protection: which "no"s concern a contact, by suppression key (common.mail.subjects)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from mailmaker.common.mail.address import Channel, address_key
from mailmaker.common.mail.subjects import address_subject, contact_subject, fkey_subject
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.contact import AddressKeys, Contact

FKEY_HASH_AT = 17
"""An fkey subject is b"f", the list's id, then the hash of the key: what a contact's row keeps is the last part."""


def keys_for(
    pepper: bytes,
    account_id: UUID,
    list_id: UUID,
    email: str | None = None,
    mobile: str | None = None,
    fkey: str | None = None,
) -> AddressKeys:
    """The keyed hashes of canonical addresses and of the client's own key."""
    return AddressKeys(
        address_key(pepper, account_id, "email", email) if email else None,
        address_key(pepper, account_id, "sms", mobile) if mobile else None,
        fkey_subject(list_id, fkey)[FKEY_HASH_AT:] if fkey else None,
    )


def subjects(contact: Contact, channel: Channel) -> tuple[bytes, ...]:
    """Every suppression key under which a "no" of this channel may name the contact."""
    found = [contact_subject(contact.id)]
    key = contact.keys.email if channel == "email" else contact.keys.mobile
    if key:
        found.append(address_subject(key))
    if contact.keys.fkey:
        found.append(b"f" + contact.list_id.bytes + contact.keys.fkey)
    return tuple(found)


def protected(contact: Contact, said: Iterable[tuple[str, bytes]]) -> Contact:
    """The contact after the "no"s that stand against it: each lowers the consent of its own channel."""
    known = frozenset(said)
    if any(("email", s) in known for s in subjects(contact, "email")):
        contact = replace(contact, email_consent=Consent.UNSUBSCRIBED)
    if any(("sms", s) in known for s in subjects(contact, "sms")):
        contact = replace(contact, sms_consent=Consent.UNSUBSCRIBED)
    return contact
