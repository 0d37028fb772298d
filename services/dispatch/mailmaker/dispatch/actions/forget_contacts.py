"""dispatch.actions: contacts that left or were erased: their mail is stopped by the same two commits as a "no"."""

from __future__ import annotations

from mailmaker.common.bus.fate import Retry
from mailmaker.common.contracts.contacts import ContactsErased, ContactsRemoved, ContactsRestored
from mailmaker.common.storage.engine import AlreadyHeard, Database, Heard, Transaction
from mailmaker.dispatch.actions.apply_feed import stop_and_name
from mailmaker.dispatch.domain.directives import Directive, latest, removals_of
from mailmaker.dispatch.storage import audience
from mailmaker.dispatch.storage import directives as standing

AGAIN = 1.0
"""Seconds between two looks at whether a message has its outcome."""


async def stop_removed(db: Database, event: ContactsRemoved, heard: Heard) -> None:
    """Cancels the mail of contacts that left their list, and stands in the way of what is still being expanded."""
    found = await _stand(db, event, heard, "contact_removed")
    async with db.heard(heard, event.account_id) as tx:
        await stop_and_name(tx, found, "cancelled")


async def stop_erased(db: Database, event: ContactsErased, heard: Heard) -> None:
    """As for removed ones, and what was kept to write to them is emptied; what was decided stays, by id.

    Raises Retry while a message to one of them is on its way: it is emptied when its outcome is known.
    """
    found = await _stand(db, event, heard, "contact_erased")
    async with db.account(event.account_id) as tx:
        await stop_and_name(tx, found, "cancelled")
        await audience.forget(tx, event.account_id, event.contact_ids)
    async with db.heard(heard, event.account_id) as tx:
        if await audience.under_way(tx, event.account_id, event.contact_ids):
            raise Retry(AGAIN, "a message is on its way")
        await audience.forget(tx, event.account_id, event.contact_ids)


async def let_restored(db: Database, event: ContactsRestored, heard: Heard) -> None:
    """Contacts are back: what stood against them as removed does so no longer. What was cancelled stays cancelled."""
    async with db.heard(heard, event.account_id) as tx:
        numbers = await standing.next_numbers(tx, len(event.contact_ids))
        found = removals_of(
            event.account_id, event.list_id, event.contact_ids, numbers, "contact_removed", released=True
        )
        await standing.stand(tx, latest(found))


async def _stand(
    db: Database, event: ContactsRemoved | ContactsErased, heard: Heard, reason: str
) -> list[Directive]:
    """First commit, with an inbox row of its own: said again after the contacts came back, it must not stand anew."""
    try:
        async with db.heard(Heard(f"{heard.consumer}/standing", heard.event_id), event.account_id) as tx:
            found = await _removals(tx, event, reason)
            await standing.stand(tx, latest(found))
    except AlreadyHeard:
        async with db.account(event.account_id) as tx:
            found = await _removals(tx, event, reason)
    return found


async def _removals(tx: Transaction, event: ContactsRemoved | ContactsErased, reason: str) -> list[Directive]:
    numbers = await standing.next_numbers(tx, len(event.contact_ids))
    return removals_of(event.account_id, event.list_id, event.contact_ids, numbers, reason)
