"""contacts.actions.tell: what other houses hear of contacts that changed, left, or said "no" here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.contacts import (
    ContactChange,
    ContactsChanged,
    ContactsErased,
    ContactsRemoved,
)
from mailmaker.common.contracts.event import CHUNK
from mailmaker.common.contracts.internal import FeedItem, No
from mailmaker.common.mail.address import Channel
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.domain.contact import Contact
from mailmaker.contacts.domain.lists import ContactList

NOS = "/internal/nos"


def change_of(c: Contact) -> ContactChange:
    return ContactChange(
        contact_id=c.id,
        email_key=hexed(c.keys.email),
        mobile_key=hexed(c.keys.mobile),
        email_consent=str(c.email_consent),
        sms_consent=str(c.sms_consent),
        version=c.version,
    )


def hexed(key: bytes | None) -> str | None:
    return None if key is None else key.hex()


def tell_changes(tx: Transaction, of: ContactList, changed: Sequence[Contact], at: datetime) -> None:
    """Stages contacts.changed in chunks."""
    for i in range(0, len(changed), CHUNK):
        tx.stage(
            ContactsChanged(
                account_id=of.account_id,
                occurred_at=at,
                list_id=of.id,
                contacts=tuple(change_of(c) for c in changed[i : i + CHUNK]),
            )
        )


def tell_nos(tx: Transaction, said: Sequence[tuple[Contact, Channel]], at: datetime) -> None:
    """Hands every "no" that the client itself says on a write to suppression: mail of running mailings must stop as it
    does for a "no" said at any other door."""
    for contact, channel in said:
        tx.hand_over("suppression", NOS, _no(contact, channel, "unsubscribe", at))


def tell_removed(tx: Transaction, of: ContactList, ids: Sequence[UUID], at: datetime) -> None:
    """Stages contacts.removed in chunks: dispatch cancels what is queued for them."""
    for i in range(0, len(ids), CHUNK):
        tx.stage(
            ContactsRemoved(
                account_id=of.account_id, occurred_at=at, list_id=of.id, contact_ids=tuple(ids[i : i + CHUNK])
            )
        )


def tell_erased(
    tx: Transaction, of: ContactList, records: Sequence[Contact], past: Sequence[UUID], at: datetime
) -> None:
    """Stages contacts.erased for all records of a person, and tells suppression by keys alone that this person is not to
    be written to again. `records`: those whose keys are known."""
    ids = (*(one.id for one in records), *past)
    for i in range(0, len(ids), CHUNK):
        tx.stage(
            ContactsErased(
                account_id=of.account_id, occurred_at=at, list_id=of.id, contact_ids=ids[i : i + CHUNK]
            )
        )
    channels: tuple[Channel, Channel] = ("email", "sms")
    for contact in records:
        for channel in channels:
            if (contact.keys.email if channel == "email" else contact.keys.mobile) is not None:
                tx.hand_over("suppression", NOS, _no(contact, channel, "erased", at))


def _no(c: Contact, channel: Channel, reason: str, at: datetime) -> No:
    fkey = c.values.get("fkey")
    key = c.keys.email if channel == "email" else c.keys.mobile
    return No.model_validate(
        {
            "id": new_id(),
            "account_id": c.account_id,
            "channel": channel,
            "scope": "list",
            "door": "api",
            "reason": reason,
            "contact_id": c.id,
            "list_id": c.list_id,
            "fkey": fkey if reason != "erased" else None,
            "address_key": hexed(key),
            "received_at": at,
            "whole": True,
        }
    )


def no_for(item: FeedItem, contact_id: UUID) -> No:
    """The same "no" for another record of the person; suppression asks for its keys."""
    return No(
        id=new_id(),
        account_id=item.account_id,
        channel=item.channel,
        scope=item.scope,
        door=item.door,
        reason=item.reason,
        contact_id=contact_id,
        list_id=item.list_id,
        received_at=item.received_at,
    )
