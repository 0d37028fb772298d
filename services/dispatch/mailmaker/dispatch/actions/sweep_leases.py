"""dispatch.actions: takes back what dead relays left: claimed messages to the line, begun ones to `uncertain`."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record
from mailmaker.common.contracts.deliveries import Outcome, OutcomesRecorded
from mailmaker.common.contracts.event import CHUNK
from mailmaker.common.ops.logging import logger
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.dispatch.storage import relays
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
            dead = await relays.bury(tx)
            rows = await relays.orphans(tx, AT_ONCE)
            queued = [row for row in rows if row["state"] == "queued"]
            uncertain = [row for row in rows if row["state"] == "uncertain"]
            await give_back(tx, queued)
            tx.stage(*_told(uncertain))
        if dead or rows:
            logger("dispatch.actions").warning(
                "relay lost", fences=dead, queued_again=len(queued), uncertain=len(uncertain)
            )
        self._swept.labels("queued").inc(len(queued))
        self._swept.labels("uncertain").inc(len(uncertain))
        return len(rows)


def _told(rows: Sequence[Record]) -> list[OutcomesRecorded]:
    by_account: dict[tuple[UUID, str], list[Record]] = defaultdict(list)
    for row in rows:
        by_account[row["account_id"], row["channel"]].append(row)
    events = []
    for (account_id, channel), some in sorted(by_account.items()):
        for at in range(0, len(some), CHUNK):
            outcomes = tuple(_outcome(row) for row in some[at : at + CHUNK])
            events.append(
                OutcomesRecorded(
                    account_id=account_id,
                    occurred_at=outcomes[0].at,
                    channel="sms" if channel == "sms" else "email",
                    outcomes=outcomes,
                )
            )
    return events


def _outcome(row: Record) -> Outcome:
    return Outcome(
        message_id=row["id"],
        mailing_id=row["mailing_id"],
        contact_id=row["contact_id"],
        address_key=bytes(row["address_key"]).hex(),
        state=row["state"],
        at=row["ended_at"],
    )
