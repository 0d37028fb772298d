"""ingest.actions.collect: takes complete files out of inboxes and makes imports of them, each exactly once.

A row, then the move out of the client's reach, then the import and the row's new state in one transaction, then the archive:
each step is repeated until the next one stands, so a crash anywhere neither loses a file nor imports it twice.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.common.web.keyring import KeyRing
from mailmaker.common.web.problem import Problem
from mailmaker.ingest.actions.deliver import Deliverer, NotNow
from mailmaker.ingest.actions.tell import Teller
from mailmaker.ingest.domain.drops import Drop, Found, Lying, Taken, TakenState, look_through
from mailmaker.ingest.domain.paths import Folder
from mailmaker.ingest.storage import drop_files, inbox_taking
from mailmaker.ingest.storage import drops as store
from mailmaker.ingest.storage.inboxes import Inbox, Inboxes

POLL = 1.0
_AT_ONCE = 4
_SWEEP_EVERY = 600.0
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: `stable`: a closed file that has not changed so long is complete. `cut`: a file that its client never
    closed is given up. `kept`: what was done, rejected and reported stays."""

    stable: float
    cut: float
    kept: float


class Collector:
    """A worker: looks into every inbox each second. Of several processes one at a time serves an inbox."""

    name = "ingest.collector"

    def __init__(
        self,
        db: Database,
        keyring: KeyRing,
        inboxes: Inboxes,
        deliverer: Deliverer,
        teller: Teller,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._inboxes = inboxes
        self._deliverer = deliverer
        self._teller = teller
        self._clock = clock
        self._patience = patience
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._again: dict[UUID, tuple[float, float]] = {}
        self._swept: dict[UUID, float] = {}
        self._log = logger("ingest.actions.collect")

    async def run(self, stop: asyncio.Event) -> None:
        """Looks until told to stop."""
        while not stop.is_set():
            try:
                await self.look()
            except StorageUnavailable as wrong:
                self._log.info("not collected", reason=str(wrong))
            try:
                await asyncio.wait_for(stop.wait(), POLL)
            except TimeoutError:
                continue

    async def look(self) -> None:
        """One look into every inbox."""
        async with self._db.platform() as tx:
            drops = await store.every(tx)
            unended = await drop_files.unended(tx)
        by_drop: dict[UUID, list[tuple[Taken, str | None]]] = {}
        for taken, state in unended:
            by_drop.setdefault(taken.drop_id, []).append((taken, state))
        await asyncio.gather(*(self._one(drop, by_drop.get(drop.id, [])) for drop in drops))

    async def _one(self, drop: Drop, unended: Sequence[tuple[Taken, str | None]]) -> None:
        inbox = self._inboxes.of(drop)
        async with self._gate:
            try:
                await asyncio.to_thread(inbox.prepare)
                with inbox.alone() as mine:
                    if mine:
                        await self._serve(drop, inbox, unended)
            except (OSError, Problem) as wrong:
                # One inbox's trouble is not the others'.
                self._log.warning("inbox not served", drop=str(drop.id), error=type(wrong).__name__)

    async def _serve(self, drop: Drop, inbox: Inbox, unended: Sequence[tuple[Taken, str | None]]) -> None:
        if drop.closed:
            await asyncio.to_thread(inbox.forget)
            async with self._db.account(drop.account_id) as tx:
                await store.forget(tx, drop)
            return
        for taken, state in unended:
            await self._continue(drop, inbox, taken, state)
        if drop.account_id in self._keyring.open_accounts():
            found = await asyncio.to_thread(self._found, inbox)
            for one in found.ready:
                await self._take(drop, inbox, one)
            for one in found.cut:
                await self._give_up(drop, inbox, one)
            if found.stale_marks:
                await asyncio.to_thread(inbox_taking.remove, inbox, found.stale_marks)
        await self._sweep(drop, inbox)

    def _found(self, inbox: Inbox) -> Found:
        patience = self._patience
        return look_through(
            inbox_taking.lying(inbox), time.time(), stable=patience.stable, patience=patience.cut
        )

    async def _take(self, drop: Drop, inbox: Inbox, one: Lying) -> None:
        if await asyncio.to_thread(inbox_taking.is_free, inbox, one):
            async with self._db.account(drop.account_id) as tx:
                taken = await drop_files.take(tx, drop, one)
            await self._continue(drop, inbox, taken, None)

    async def _give_up(self, drop: Drop, inbox: Inbox, one: Lying) -> None:
        """A file that was never closed is no import; its client finds it in rejected/, with the reason."""
        if await asyncio.to_thread(inbox_taking.is_free, inbox, one):
            async with self._db.account(drop.account_id) as tx:
                taken = await drop_files.take(tx, drop, one)
                detail = "the connection ended before the file was complete; send it again"
                await drop_files.rejected(tx, taken, "file.cut", detail)
            now = replace(taken, state=TakenState.REJECTED, error_code="file.cut", error_detail=detail)
            await self._continue(drop, inbox, now, None)

    async def _continue(self, drop: Drop, inbox: Inbox, taken: Taken, state: str | None) -> None:
        """The next steps of one file, from wherever it stands."""
        if taken.state is TakenState.TAKING:
            due, _ = self._again.get(taken.id, (0.0, 0.0))
            if self._clock.boot() < due:
                return
            if not await asyncio.to_thread(self._hold, inbox, taken):
                async with self._db.account(drop.account_id) as tx:
                    await drop_files.void(tx, taken)
                return
            try:
                taken = await self._deliverer.deliver(drop, inbox, taken)
            except NotNow as wrong:
                self._later(taken, wrong)
                return
            self._again.pop(taken.id, None)
        if not taken.archived:
            await asyncio.to_thread(self._hold, inbox, taken)
            folder = Folder.DONE if taken.state is TakenState.RECEIVED else Folder.REJECTED
            await asyncio.to_thread(inbox_taking.archive, inbox, taken, folder)
            async with self._db.account(drop.account_id) as tx:
                await drop_files.archived(tx, taken)
        await self._teller.tell(drop, inbox, taken, state)

    def _hold(self, inbox: Inbox, taken: Taken) -> bool:
        return inbox_taking.held(inbox, taken).exists() or inbox_taking.take(inbox, taken)

    def _later(self, taken: Taken, wrong: NotNow) -> None:
        _, pause = self._again.get(taken.id, (0.0, 0.5))
        pause = min(pause * 2, _LONGEST_PAUSE)
        self._again[taken.id] = (self._clock.boot() + pause * random.uniform(0.7, 1.3), pause)
        self._log.info("file waits", file=str(taken.id), reason=wrong.code)

    async def _sweep(self, drop: Drop, inbox: Inbox) -> None:
        if self._clock.boot() < self._swept.get(drop.id, 0.0):
            return
        self._swept[drop.id] = self._clock.boot() + _SWEEP_EVERY
        await asyncio.to_thread(inbox_taking.sweep, inbox, self._patience.kept)
        async with self._db.account(drop.account_id) as tx:
            erased = await drop_files.erased(tx, drop)
        if erased:
            # Gone first: a crash between the two forgets them once more.
            await asyncio.to_thread(inbox_taking.forget, inbox, erased)
        async with self._db.account(drop.account_id) as tx:
            await drop_files.forgotten(tx, drop, erased)
            await drop_files.prune(tx, drop, self._patience.kept)
