"""dispatch.actions: finishes mailings that have nothing left to do, and goes on with interrupted cancels."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID

from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.dispatch.actions.cancel_mailing import cancel_messages
from mailmaker.dispatch.actions.move_mailing import tell
from mailmaker.dispatch.storage import mailings, messages

EVERY = 0.5
LIMIT = 500


class Settler:
    """A worker. Several may run: each decision is made again with the mailing's row locked."""

    name = "settle"

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Looks twice a second."""
        while not stop.is_set():
            with contextlib.suppress(StorageUnavailable):
                await self.step()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)

    async def step(self) -> int:
        """One round. Returns the mailings it moved or cleaned up."""
        async with self._db.platform() as tx:
            found = await mailings.to_settle(tx, LIMIT)
        return sum([await self._settle(account_id, mailing_id) for account_id, mailing_id in found])

    async def _settle(self, account_id: UUID, mailing_id: UUID) -> int:
        async with self._db.account(account_id) as tx:
            if await messages.unsettled(tx, account_id, mailing_id):
                mailing = await mailings.one(tx, account_id, mailing_id)
                stopped = mailing is not None and mailing.state in ("cancelled", "failed")
            else:
                mailing = await mailings.one(tx, account_id, mailing_id, lock=True)
                stopped = False
                if mailing is not None and mailing.state == "running" and mailing.expanded_at is not None:
                    now = self._clock.now()
                    await tell(tx, await mailings.move(tx, mailing, "finished", now), now)
                    return 1
        return min(1, await cancel_messages(self._db, account_id, mailing_id)) if stopped else 0
