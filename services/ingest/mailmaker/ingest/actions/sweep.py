"""ingest.actions.sweep: forgets files that nothing needs any more: people's data does not lie about."""

from __future__ import annotations

import asyncio
import contextlib

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.ingest.storage import imports as store
from mailmaker.ingest.storage.files import Files

EVERY = 3600.0
OLD = 24 * 3600.0


class Sweeper:
    """A worker: uploads and staged files of imports that are over, and those whose import was never committed."""

    name = "ingest.sweeper"

    def __init__(self, db: Database, files: Files, *, old: float = OLD) -> None:
        self._db = db
        self._files = files
        self._old = old

    async def run(self, stop: asyncio.Event) -> None:
        """Sweeps each hour."""
        while not stop.is_set():
            with contextlib.suppress(StorageUnavailable):
                gone = await self.sweep()
                if gone:
                    logger("ingest.actions").info("swept", imports=gone)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)

    async def sweep(self) -> int:
        """Forgets what is a day old and not needed. Returns how many imports that were.

        Only age makes a file without an import an orphan: an upload is named before its import is committed.
        """
        found = await self._files.older_than(self._old)
        if not found:
            return 0
        async with self._db.platform() as tx:
            needed = await store.unfinished(tx, found)
        orphans = [import_id for import_id in found if import_id not in needed]
        for import_id in orphans:
            await self._files.forget(import_id)
        return len(orphans)
