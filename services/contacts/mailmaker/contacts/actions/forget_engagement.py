"""contacts.actions.forget_engagement: forgets whom mailings reached long ago, so that what is kept of it has a bound."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import timedelta

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import StorageUnavailable
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.storage import engagement

KEPT = timedelta(days=800)
"""Longer than any reasonable question: two years, and some weeks to compare with the same season."""
EVERY = 6 * 3600.0
AT_ONCE = 5_000


class ForgetEngagement:
    """A worker: a few times a day, account by account, in batches."""

    name = "forget_engagement"

    def __init__(self, house: Contacts) -> None:
        self._house = house

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY * random.uniform(0.8, 1.2))
                return
            try:
                await self.forget_old(stop)
            except StorageUnavailable as wrong:
                logger("contacts.actions").info("engagement not forgotten", reason=str(wrong))

    async def forget_old(self, stop: asyncio.Event) -> int:
        """Forgets what is too old, of every account. Returns how many rows went."""
        before, gone = self._house.clock.now() - KEPT, 0
        async with self._house.db.platform() as tx:
            accounts = await engagement.accounts(tx)
        for account_id in accounts:
            many = 1
            while many and not stop.is_set():
                async with self._house.db.account(account_id) as tx:
                    many = await engagement.forget_old(tx, account_id, before, AT_ONCE)
                gone += many
        return gone
