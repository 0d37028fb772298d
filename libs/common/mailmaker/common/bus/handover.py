"""common.bus.handover: hands rows to other houses' internal doors until they are answered: the road of a "no"."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

import asyncpg
from mailmaker.common.bus.backoff import Backoff
from mailmaker.common.bus.bell import Bell, Ear
from mailmaker.common.bus.figures import Figures, uncounted
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.common.web.internal import Refused, Unreachable
from pydantic import BaseModel, JsonValue

ITEMS = 500
POLL = 1.0
# Less than the idle_in_transaction_session_timeout of a house's role: the rows' transaction waits for the answer.
POST_TIMEOUT = 3.0
_ITEM_FAULTS = frozenset({400, 404, 409, 410, 413, 422})

_TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"
# Of a hundred thousand that wait, a house with an index by age reads the oldest from it. PostgreSQL knows nothing of rows
# that have just come, and would sort all of them for each batch.
_BY_AGE = "SET LOCAL enable_sort = off"
_OLDEST = """
SELECT account_id, id, path, body, created_at FROM handovers
 WHERE target = $1 AND due_at <= clock_timestamp() ORDER BY created_at, id LIMIT $2
"""
_ANSWERED = """
DELETE FROM handovers h USING unnest($1::uuid[], $2::uuid[]) AS a(account_id, id)
 WHERE h.account_id = a.account_id AND h.id = a.id
"""
_REFUSED = """
UPDATE handovers SET attempts = attempts + 1,
       due_at = clock_timestamp() + least(60, power(2, least(attempts, 6))) * interval '1 s'
 WHERE account_id = $1 AND id = $2
"""


class Door(Protocol):
    """What is needed of common.web.internal.InternalClient."""

    async def post(self, path: str, body: BaseModel, *, timeout: float) -> bytes: ...


class Batch(BaseModel):
    """The body of every hand-over: `{"items": [...]}`, at most 500, oldest first. Its receiver is idempotent by item."""

    items: list[JsonValue]


class Handover:
    """A worker. Any number of processes may run one; each target is served by one at a time, oldest rows first.

    A target that does not answer is tried again for ever, with pauses up to 2 s: its rows stay. An item that is
    refused steps aside (1 s, doubling to a minute), so that it holds up nobody else's "no"."""

    name = "handover"

    def __init__(
        self, db: Database, targets: Mapping[str, Door], figures: Figures | None = None, *, poll: float = POLL
    ) -> None:
        self._db, self._targets, self._poll = db, targets, poll
        self._figures = figures or uncounted()

    async def run(self, stop: asyncio.Event) -> None:
        """A task a target, until `stop`."""
        async with Bell(self._db, f"{self._db.house}_handovers", stop) as bell, asyncio.TaskGroup() as tasks:
            for target, door in self._targets.items():
                tasks.create_task(
                    _Lane(self._db, target, door, self._figures).walk(bell.ear(), stop, self._poll)
                )


class _Lane:
    """The way to one target."""

    def __init__(self, db: Database, target: str, door: Door, figures: Figures) -> None:
        self._db, self._target, self._door, self._figures = db, target, door, figures
        self._turn = f"{db.house}.handover.{target}"
        self._size = ITEMS

    async def walk(self, ear: Ear, stop: asyncio.Event, poll: float) -> None:
        backoff = Backoff(0.05, 2.0)
        down = False
        while not stop.is_set():
            try:
                more = await self.carry()
            except (Unreachable, StorageUnavailable, Refused) as wrong:
                if not down:
                    logger("common.bus").warning("hand-over waits", target=self._target, why=str(wrong))
                down = True
                self._figures.handed_over.labels(result="unreachable").inc()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), backoff.next())
                continue
            down = False
            backoff.reset()
            if not more:
                await ear.sleep(poll)

    async def carry(self) -> bool:
        """One batch. True: look again at once. Raises Unreachable with the rows as they were."""
        failure: Exception | None = None
        async with self._db.platform() as tx:
            if not await tx.driver.fetchval(_TURN, self._turn):
                return False
            await tx.driver.execute(_BY_AGE)
            rows = await tx.driver.fetch(_OLDEST, self._target, self._size)
            self._figures.handover_oldest.set(_age(rows))
            full = len(rows) == self._size
            for path, group in _by_path(rows).items():
                try:
                    await self._post(path, group)
                except Refused as refused:
                    await self._step_aside(tx.driver, group, refused)
                    full = True
                    break
                except Unreachable as away:
                    failure = away  # what was answered before it is committed as such
                    break
                await tx.driver.execute(_ANSWERED, [r["account_id"] for r in group], [r["id"] for r in group])
                self._figures.handed_over.labels(result="answered").inc(len(group))
            else:
                self._size = min(self._size * 2, ITEMS)
        if failure is not None:
            raise failure
        return full

    async def _post(self, path: str, rows: Sequence[asyncpg.Record]) -> None:
        body = Batch(items=[row["body"] for row in rows])
        try:
            async with asyncio.timeout(POST_TIMEOUT + 0.5):
                await self._door.post(path, body, timeout=POST_TIMEOUT)
        except TimeoutError as slow:
            raise Unreachable("no answer in time") from slow

    async def _step_aside(
        self, driver: asyncpg.Connection, rows: Sequence[asyncpg.Record], refused: Refused
    ) -> None:
        """Finds the item at fault by halving the batch; alone, it waits and the others go on."""
        if refused.status not in _ITEM_FAULTS:
            raise refused
        if len(rows) > 1:
            self._size = max(1, len(rows) // 2)
            return
        await driver.execute(_REFUSED, rows[0]["account_id"], rows[0]["id"])
        self._figures.handed_over.labels(result="refused").inc()
        logger("common.bus").error(
            "hand-over refused, it steps aside",
            target=self._target,
            status=refused.status,
            handover=str(rows[0]["id"]),
        )


def _by_path(rows: Sequence[asyncpg.Record]) -> dict[str, list[asyncpg.Record]]:
    groups: dict[str, list[asyncpg.Record]] = {}
    for row in rows:
        groups.setdefault(row["path"], []).append(row)
    return groups


def _age(rows: Sequence[asyncpg.Record]) -> float:
    if not rows:
        return 0.0
    oldest: datetime = rows[0]["created_at"]
    return max(0.0, (datetime.now(UTC) - oldest).total_seconds())
