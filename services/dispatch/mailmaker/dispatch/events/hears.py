"""dispatch.events: what this house hears, and the action each event calls. The table is the documentation."""

from __future__ import annotations

from collections.abc import Callable

from mailmaker.common.bus.consumer import Hears
from mailmaker.common.contracts.accounts import AccountEmptied
from mailmaker.common.contracts.contacts import (
    ContactsChanged,
    ContactsErased,
    ContactsRemoved,
    ContactsRestored,
    ListChanged,
)
from mailmaker.common.contracts.suppressions import AddressReleased, AddressSuppressed
from mailmaker.common.storage.emptying import hear_emptied
from mailmaker.common.storage.engine import Database, Heard
from mailmaker.common.web.internal import InternalClient
from mailmaker.dispatch.actions.forget_contacts import let_restored, stop_erased, stop_removed
from mailmaker.dispatch.actions.known_lists import hear_list
from mailmaker.dispatch.actions.readdress import hear_changed

CONSUMER = "dispatch"


def hears(db: Database, contacts: InternalClient, wake: Callable[[int], None]) -> Hears:
    """Event -> handler. A "no" is applied from the feed: its event only wakes who follows the feed."""

    async def on_list(event: ListChanged, heard: Heard) -> None:
        await hear_list(db, event, heard)

    async def on_changed(event: ContactsChanged, heard: Heard) -> None:
        await hear_changed(db, contacts, event, heard)

    async def on_removed(event: ContactsRemoved, heard: Heard) -> None:
        await stop_removed(db, event, heard)

    async def on_restored(event: ContactsRestored, heard: Heard) -> None:
        await let_restored(db, event, heard)

    async def on_erased(event: ContactsErased, heard: Heard) -> None:
        await stop_erased(db, event, heard)

    async def on_no(event: AddressSuppressed | AddressReleased, heard: Heard) -> None:
        wake(event.version)

    async def on_emptied(event: AccountEmptied, heard: Heard) -> None:
        await hear_emptied(db, event, heard)

    return {
        AccountEmptied: on_emptied,
        ListChanged: on_list,
        ContactsChanged: on_changed,
        ContactsRemoved: on_removed,
        ContactsRestored: on_restored,
        ContactsErased: on_erased,
        AddressSuppressed: on_no,
        AddressReleased: on_no,
    }
