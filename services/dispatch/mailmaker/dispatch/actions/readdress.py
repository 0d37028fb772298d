"""dispatch.actions: contacts whose address changed: what waits for the old address is not sent to it."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.bus.fate import Retry
from mailmaker.common.contracts.contacts import ContactChange, ContactsChanged
from mailmaker.common.contracts.internal import ContactRow
from mailmaker.common.storage.engine import Database, Heard
from mailmaker.common.web.internal import InternalClient
from mailmaker.dispatch.storage import addresses
from mailmaker.dispatch.storage.returns import give_back

AGAIN = 0.5
"""Seconds to wait for an expansion of the list's contacts: its snapshot may be older than the change."""


async def hear_changed(db: Database, contacts: InternalClient, event: ContactsChanged, heard: Heard) -> None:
    """Skips, with the reason address_changed, what has not begun and was meant for an address its contact has no more.

    Most changes change no address: they cost one look by contact. Where something waits for another address than the
    event says, contacts has the last word: the event may be older than the message. What a server already has is not
    called back. Raises Retry while the list is being expanded, Unreachable when contacts does not answer.
    """
    async with db.account(event.account_id) as tx:
        if await addresses.expanding(tx, event.account_id, event.list_id):
            raise Retry(AGAIN, "the list is being expanded")
        moved = await addresses.waiting_for_others(tx, event.account_id, _keys(event.contacts))
    now: list[tuple[UUID, str, bytes]] = []
    for contact_id in moved:
        row = await contacts.get(f"/internal/contacts/{contact_id}", ContactRow)
        if row is not None and row.account_id == event.account_id:
            now += _both(contact_id, row.email_key, row.mobile_key)
    async with db.heard(heard, event.account_id) as tx:
        rows = await addresses.skip_others(tx, event.account_id, now)
        await give_back(tx, rows, event.account_id)


def _keys(changes: tuple[ContactChange, ...]) -> list[tuple[UUID, str, bytes]]:
    return [
        key for change in changes for key in _both(change.contact_id, change.email_key, change.mobile_key)
    ]


def _both(contact_id: UUID, email: str | None, mobile: str | None) -> list[tuple[UUID, str, bytes]]:
    """A contact's address key on each channel; empty where it has no address."""
    return [
        (contact_id, "email", bytes.fromhex(email or "")),
        (contact_id, "sms", bytes.fromhex(mobile or "")),
    ]
