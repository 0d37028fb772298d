"""ingest.actions.sweep: forgets files that nothing needs any more: people's data does not lie about."""

from __future__ import annotations

import asyncio
import contextlib

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.ingest.storage import erasures
from mailmaker.ingest.storage import imports as store
from mailmaker.ingest.storage.files import Files

EVERY = 3600.0
OLD = 24 * 3600.0
AT_ONCE = 1000


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
        await self._sweep_erased()
        found = await self._files.older_than(self._old)
        if not found:
            return 0
        async with self._db.platform() as tx:
            needed = await store.unfinished(tx, found)
        orphans = [import_id for import_id in found if import_id not in needed]
        for import_id in orphans:
            await self._files.forget(import_id)
        return len(orphans)

    async def _sweep_erased(self) -> None:
        """Imports that were under way when somebody of their list was erased, and are over now."""
        kept = await self._files.every()
        for at in range(0, len(kept), AT_ONCE):
            async with self._db.platform() as tx:
                over = await erasures.ended(tx, kept[at : at + AT_ONCE])
            for import_id in over:
                await self._files.forget_all(import_id)
