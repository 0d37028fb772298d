"""common.storage.prune: takes away rows that no promise needs any more, a little at a time."""

from __future__ import annotations

import asyncio
import contextlib
import random

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable

EVERY = 300.0
AT_ONCE = 5_000

# An event may be heard again as long as its topic keeps it; after that its version alone protects (design of the bus).
_STATEMENTS = {
    "inbox": """
        DELETE FROM inbox WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM inbox WHERE heard_at < now() - interval '100 days' LIMIT $1 FOR UPDATE SKIP LOCKED))
    """,
    "idempotency": """
        DELETE FROM idempotency WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM idempotency WHERE made_at < now() - interval '24 hours' LIMIT $1 FOR UPDATE SKIP LOCKED))
    """,
}


class Pruner:
    """A worker: every few minutes, in batches, until nothing old is left."""

    name = "prune"

    def __init__(self, db: Database) -> None:
        self._db = db

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY * random.uniform(0.8, 1.2))
                return
            try:
                for table in _STATEMENTS:
                    while await self.prune(table) == AT_ONCE and not stop.is_set():
                        pass
            except StorageUnavailable as wrong:
                logger("common.storage").info("not pruned", reason=str(wrong))

    async def prune(self, table: str) -> int:
        """One batch of a table. Returns how many rows went."""
        async with self._db.platform() as tx:
            done = await tx.driver.execute(_STATEMENTS[table], AT_ONCE)
        return int(str(done).rpartition(" ")[2])
