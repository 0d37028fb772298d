"""dispatch.actions: what was meant for one contact, for another house that shows its history."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.contracts.internal import ContactMessage, ContactMessages
from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.storage import addresses


async def contact_messages(db: Database, account_id: UUID, contact_id: UUID, limit: int) -> ContactMessages:
    """The latest messages meant for a contact of an account; none for another account's."""
    async with db.account(account_id) as tx:
        rows = await addresses.latest(tx, account_id, contact_id, limit + 1)
    items = tuple(ContactMessage.model_validate(dict(row)) for row in rows[:limit])
    return ContactMessages(items=items, more=len(rows) > limit)
