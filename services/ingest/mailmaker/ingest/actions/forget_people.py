"""ingest.actions.forget_people: somebody was erased from a list: no file that may name the person outlives its use."""

from __future__ import annotations

from mailmaker.common.contracts.contacts import ContactsErased
from mailmaker.common.storage.engine import Database, Heard
from mailmaker.ingest.storage import erasures
from mailmaker.ingest.storage.files import Files


async def hear_erased(db: Database, files: Files, event: ContactsErased, heard: Heard) -> None:
    """Removes uploads, staged rows and rejects of the list's imports that came before and are over.

    Files name people in any column and any spelling, and this house holds no key of whom it was: the files go whole,
    before their day. An import that is still under way keeps its own until it is over; the sweep sees to it then. What
    came by a drop is archived in its inbox: the collector, who alone works there, forgets it at its next sweep.
    """
    async with db.heard(heard, event.account_id) as tx:
        over = await erasures.note(tx, event.account_id, event.list_id, event.occurred_at)
        for import_id in over:
            await files.forget_all(import_id)
