"""dispatch.actions: contacts that left or were erased: their mail is stopped by the same two commits as a "no"."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.contracts.contacts import ContactsErased, ContactsRemoved
from mailmaker.common.storage.engine import Database, Heard
from mailmaker.dispatch.actions.apply_feed import stop_and_name
from mailmaker.dispatch.domain.directives import Directive, latest, removals_of
from mailmaker.dispatch.storage import audience
from mailmaker.dispatch.storage import directives as standing


async def stop_removed(db: Database, event: ContactsRemoved, heard: Heard) -> None:
    """Cancels the mail of contacts that left their list, and stands in the way of what is still being expanded."""
    found = await _stand(db, event.account_id, event.list_id, event.contact_ids, "contact_removed")
    async with db.heard(heard, event.account_id) as tx:
        await stop_and_name(tx, found, "cancelled")


async def stop_erased(db: Database, event: ContactsErased, heard: Heard) -> None:
    """As for removed ones, and what was kept to write to them is emptied; what was decided stays, by id."""
    found = await _stand(db, event.account_id, event.list_id, event.contact_ids, "contact_erased")
    async with db.heard(heard, event.account_id) as tx:
        await stop_and_name(tx, found, "cancelled")
        await audience.forget(tx, event.account_id, event.contact_ids)


async def _stand(
    db: Database, account_id: UUID, list_id: UUID, contact_ids: Sequence[UUID], reason: str
) -> list[Directive]:
    """First commit. Repeating it after a crash only takes new numbers."""
    if not contact_ids:
        return []
    async with db.account(account_id) as tx:
        numbers = await standing.next_numbers(tx, len(contact_ids))
        found = removals_of(account_id, list_id, contact_ids, numbers, reason)
        await standing.stand(tx, latest(found))
    return found
