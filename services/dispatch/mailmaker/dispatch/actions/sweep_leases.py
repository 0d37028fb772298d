"""dispatch.actions: takes back what dead relays left: claimed messages to the line, begun ones to `uncertain`."""

from __future__ import annotations

import asyncio
import contextlib

from mailmaker.common.ops.logging import logger
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.dispatch.actions.hold_lease import known_dead
from mailmaker.dispatch.actions.tell_outcomes import told
from mailmaker.dispatch.storage import paths, relays
from mailmaker.dispatch.storage.returns import give_back

EVERY = 1.0
AT_ONCE = 2000


class LeaseSweeper:
    """A worker of every process: each second, so that a killed relay's messages are known within its lease and one more."""

    name = "sweep"

    def __init__(self, db: Database, metrics: Metrics) -> None:
        self._db = db
        self._swept = metrics.counter(
            "mailmaker_relay_orphans", "Messages taken back from dead relays.", ("state",)
        )

    async def run(self, stop: asyncio.Event) -> None:
        log = logger("dispatch.actions")
        while not stop.is_set():
            try:
                while await self.sweep() == AT_ONCE:
                    pass
            except StorageUnavailable as wrong:
                log.info("leases not swept", reason=str(wrong))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)

    async def sweep(self) -> int:
        """One look. Returns how many messages were taken back."""
        async with self._db.platform() as tx:
            lost = await relays.bury(tx)
            dead = [one.fence for one in lost if known_dead(one.place, one.pid)]
            await paths.forget(tx, dead)
            await paths.haunt(tx)
            await paths.sweep(tx)
            rows = await relays.orphans(tx, AT_ONCE)
            queued = [row for row in rows if row["state"] == "queued"]
            uncertain = [row for row in rows if row["state"] == "uncertain"]
            await give_back(tx, queued)
            tx.stage(*told(uncertain))
        if lost or rows:
            logger("dispatch.actions").warning(
                "relay lost",
                fences=[one.fence for one in lost],
                queued_again=len(queued),
                uncertain=len(uncertain),
            )
        self._swept.labels("queued").inc(len(queued))
        self._swept.labels("uncertain").inc(len(uncertain))
        return len(rows)
