"""ingest.actions.sweep: forgets files that nothing needs any more: people's data does not lie about."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.ingest.storage import erasures
from mailmaker.ingest.storage import imports as store
from mailmaker.ingest.storage.files import Files

EVERY = 3600.0
DAY = 24 * 3600.0
AT_ONCE = 1000


class Sweeper:
    """A worker: uploads and staged files of imports that are over, those whose import was never committed, and rejects
    that nobody will correct any more. `old`, `rejects_old`: seconds since they were written."""

    name = "ingest.sweeper"

    def __init__(
        self, db: Database, files: Files, *, old: float = DAY, rejects_old: float = 30 * DAY
    ) -> None:
        self._db = db
        self._files = files
        self._old = old
        self._rejects_old = rejects_old

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
        """Forgets what is old and not needed. Returns how many imports that were.

        Only age makes a file without an import an orphan: an upload is named before its import is committed.
        """
        await self._sweep_erased()
        orphans = await self._not_needed(await self._files.older_than(self._old))
        for import_id in orphans:
            await self._files.forget(import_id)
        stale = await self._not_needed(await self._files.rejects_older_than(self._rejects_old))
        for import_id in stale:
            await self._files.forget_rejects(import_id)
        return len({*orphans, *stale})

    async def _not_needed(self, found: list[UUID]) -> list[UUID]:
        """Those of these imports that are over, or never were."""
        needed: set[UUID] = set()
        for at in range(0, len(found), AT_ONCE):
            async with self._db.platform() as tx:
                needed |= await store.unfinished(tx, found[at : at + AT_ONCE])
        return [import_id for import_id in found if import_id not in needed]

    async def _sweep_erased(self) -> None:
        """Imports that were under way when somebody of their list was erased, and are over now."""
        kept = await self._files.every()
        for at in range(0, len(kept), AT_ONCE):
            async with self._db.platform() as tx:
                over = await erasures.ended(tx, kept[at : at + AT_ONCE])
            for import_id in over:
                await self._files.forget_all(import_id)
