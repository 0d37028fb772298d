"""contacts.actions.forget_exports: removes the files of exports after their last day."""

from __future__ import annotations

import asyncio
import contextlib
import random

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import StorageUnavailable
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.storage import exports

EVERY = 300.0
AT_ONCE = 50


class ForgetExports:
    """A worker: every few minutes, a file at a time."""

    name = "forget_exports"

    def __init__(self, house: Contacts) -> None:
        self._house = house

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                while await self.forget_old() == AT_ONCE and not stop.is_set():
                    pass
            except StorageUnavailable as wrong:
                logger("contacts.actions").info("exports not forgotten", reason=str(wrong))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY * random.uniform(0.8, 1.2))

    async def forget_old(self) -> int:
        """Removes what is past its last day, of every account. Returns how many files went."""
        async with self._house.db.platform() as tx:
            over = await exports.over(tx, self._house.clock.now(), AT_ONCE)
        for account_id, export_id in over:
            async with self._house.db.account(account_id) as tx:
                await exports.expire(tx, account_id, export_id)
        return len(over)
