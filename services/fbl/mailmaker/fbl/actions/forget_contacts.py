"""fbl.actions.forget_contacts: people were erased: the mail about them goes, that it came and what was done stays."""

from __future__ import annotations

from mailmaker.common.bus.fate import Retry
from mailmaker.common.contracts.contacts import ContactsErased
from mailmaker.common.storage.engine import Database, Heard
from mailmaker.fbl.storage import forgetting

AGAIN = 5.0
"""Seconds between two looks at whether a mail has been parsed."""


async def forget_contacts(db: Database, event: ContactsErased, heard: Heard) -> None:
    """Empties the raw mail and every address of reports about these contacts, also where a report had no account of its
    own yet. Raises Retry while one of them is still to be parsed."""
    async with db.heard(heard, event.account_id) as tx:
        if await forgetting.unparsed(tx, event.account_id, event.contact_ids):
            raise Retry(AGAIN, "a report about the contact is not parsed yet")
        await forgetting.forget(tx, event.account_id, event.contact_ids)
