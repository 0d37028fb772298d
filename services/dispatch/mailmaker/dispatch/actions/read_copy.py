"""dispatch.actions: reads a mailing's frozen text and its domain's sealed key, for the relay."""

from __future__ import annotations

from uuid import UUID

from asyncpg import Record
from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.storage import running


async def read_copy(db: Database, account_id: UUID, mailing_id: UUID) -> Record | None:
    """None when the mailing or its domain is not there."""
    async with db.account(account_id) as tx:
        return await running.copy_of(tx, account_id, mailing_id)
