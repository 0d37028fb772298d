"""common.bus.courier: carries the outbox to the bus, lowest numbers first; a row leaves after its acknowledgement."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import asyncpg
from mailmaker.common.bus.backoff import Backoff
from mailmaker.common.bus.bell import Bell
from mailmaker.common.bus.figures import Figures, uncounted
from mailmaker.common.bus.protocol import Bus, BusUnavailable
from mailmaker.common.bus.record import Record
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable

BATCH = 256
POLL = 1.0

# A transaction's lock, taken anew for each batch: a courier that is stopped in its tracks (SIGSTOP) loses it with its
# transaction (idle_in_transaction_session_timeout), where a session's lock would be held for ever.
_TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
# Always the lowest rows there are, never "those above the last id": numbers become visible out of order.
_LOWEST = "SELECT id, account_id, topic, key, headers, value, staged_at FROM outbox ORDER BY id LIMIT $1"
_DELETE = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"


class Courier:
    """A worker. Any number of processes may run one; a batch is carried by one at a time."""

    name = "courier"

    def __init__(
        self,
        db: Database,
        bus: Bus,
        figures: Figures | None = None,
        *,
        batch: int = BATCH,
        poll: float = POLL,
    ) -> None:
        self._db, self._bus, self._batch, self._poll = db, bus, batch, poll
        self._figures = figures or uncounted()
        self._turn = f"{db.house}.courier"

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. While the bus or PostgreSQL is away it tries again, with pauses that grow to 2 s."""
        backoff = Backoff(0.05, 2.0)
        down = False
        async with Bell(self._db, f"{self._db.house}_outbox", stop) as bell:
            ear = bell.ear()
            while not stop.is_set():
                try:
                    carried = await self.carry()
                except (BusUnavailable, StorageUnavailable) as wrong:
                    if not down:
                        logger("common.bus").warning("courier waits", house=self._db.house, why=str(wrong))
                    down = True
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), backoff.next())
                    continue
                if down:
                    logger("common.bus").info("courier goes on", house=self._db.house)
                down = False
                backoff.reset()
                if carried < self._batch:
                    await ear.sleep(self._poll)

    async def carry(self) -> int:
        """One batch: how many rows left the outbox. 0 also when another courier has its turn.

        Raises BusUnavailable when some rows stay; its publish is bounded, and with it the life of the transaction."""
        async with self._db.platform() as tx:
            if not await tx.driver.fetchval(_TURN, self._turn):
                return 0
            rows = await tx.driver.fetch(_LOWEST, self._batch)
            self._figures.outbox_oldest.set(_age(rows))
            if not rows:
                return 0
            late: BusUnavailable | None = None
            sent = rows
            try:
                await self._bus.publish([_record(row) for row in rows])
            except BusUnavailable as wrong:
                if not wrong.acknowledged:
                    raise
                late, sent = wrong, [rows[n] for n in sorted(wrong.acknowledged)]
            await tx.driver.execute(_DELETE, [row["id"] for row in sent])
        for row in sent:
            self._figures.published.labels(topic=row["topic"]).inc()
        if late is not None:
            raise late
        return len(sent)


def _record(row: asyncpg.Record) -> Record:
    headers = {**row["headers"], "ce_accountid": str(row["account_id"])}
    return Record(row["topic"], row["key"], bytes(row["value"]), headers)


def _age(rows: Sequence[asyncpg.Record]) -> float:
    if not rows:
        return 0.0
    oldest: datetime = rows[0]["staged_at"]
    return max(0.0, (datetime.now(UTC) - oldest).total_seconds())
