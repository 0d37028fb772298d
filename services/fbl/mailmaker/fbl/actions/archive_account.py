"""fbl.actions.archive_account: all that this house keeps of an account, as one stream for contacts' export."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from mailmaker.common.storage.archiving import lines
from mailmaker.common.storage.engine import Database
from mailmaker.fbl.storage.archive import EVERYTHING


async def archive_account(db: Database, account_id: UUID) -> AsyncIterator[bytes]:
    """One snapshot. A stream without its last line is worth nothing."""
    async with db.account(account_id) as tx:
        async for chunk in lines(tx, EVERYTHING, account_id):
            yield chunk
