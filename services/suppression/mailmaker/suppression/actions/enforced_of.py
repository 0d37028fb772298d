"""suppression.actions.enforced_of: entries as they are shown, at once or when they are enforced."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.suppression.actions.bell import Bell, until
from mailmaker.suppression.domain.entry import Entry
from mailmaker.suppression.storage import entries

LOOK_AGAIN = 0.5


async def enforced_of(
    db: Database, bell: Bell, account_id: UUID, ids: Sequence[UUID], wait: float = 0.0
) -> dict[UUID, Entry]:
    """The entries; with `wait`, held back until each is enforced or released, at most so many seconds."""
    end = asyncio.get_running_loop().time() + wait
    with bell.waiting(ids) as rung:
        while True:
            rung.clear()
            async with db.account(account_id) as tx:
                found = await entries.by_ids(tx, ids)
            left = end - asyncio.get_running_loop().time()
            if left <= 0 or all(
                e.enforced_at is not None or e.released_at is not None for e in found.values()
            ):
                return found
            await until(rung, min(left, LOOK_AGAIN))
