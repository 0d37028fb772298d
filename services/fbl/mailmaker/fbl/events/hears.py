"""fbl.events.hears: what this house hears, and the action each event calls. The table is the documentation."""

from __future__ import annotations

from mailmaker.common.bus.consumer import Hears
from mailmaker.common.contracts.accounts import AccountEmptied
from mailmaker.common.contracts.contacts import ContactsErased
from mailmaker.common.storage.emptying import hear_emptied
from mailmaker.common.storage.engine import Database, Heard
from mailmaker.fbl.actions.forget_contacts import forget_contacts

CONSUMER = "fbl"


def hears(db: Database) -> Hears:
    """Event -> handler."""

    async def on_erased(event: ContactsErased, heard: Heard) -> None:
        await forget_contacts(db, event, heard)

    async def on_emptied(event: AccountEmptied, heard: Heard) -> None:
        await hear_emptied(db, event, heard)

    return {ContactsErased: on_erased, AccountEmptied: on_emptied}
