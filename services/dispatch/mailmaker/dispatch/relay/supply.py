"""dispatch.relay: keeps a few prepared mails ahead of the connections: claims fairly, never far ahead."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.dispatch.actions.begin_and_settle import unclaim
from mailmaker.dispatch.actions.claim_batch import claim_batch, expire_mailing
from mailmaker.dispatch.domain.leases import Lease
from mailmaker.dispatch.domain.running import RunningMailing
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.relay.prepare import Preparer, Unusable
from mailmaker.dispatch.relay.view import RelayView
from mailmaker.dispatch.storage.outcomes import Beginning

CHUNK = 64
SMALLEST, LARGEST = 32, 960
BATCH = 480
FRESH = 2.0
"""Seconds of its claim that a mail must still have when it is handed out."""
AVOID_FOR = 30.0


class Supply:
    """`next` gives the connections mails. `run` keeps them coming under one lease."""

    def __init__(
        self, db: Database, clock: Clock, lease: Lease, view: RelayView, preparer: Preparer, threads: int
    ) -> None:
        self._db = db
        self._clock = clock
        self._lease = lease
        self._view = view
        self._preparer = preparer
        self._threads = threads
        self._ready: deque[Mail] = deque()
        self._waiting: deque[asyncio.Future[Mail | None]] = deque()
        self._chunks: asyncio.Queue[tuple[RunningMailing, Sequence[Record]]] = asyncio.Queue(
            LARGEST // CHUNK + 1
        )
        self._room = asyncio.Event()
        self._target = SMALLEST
        self._ahead = 0
        self._last = b""
        self._empty: dict[UUID, float] = {}
        self._avoid: dict[UUID, float] = {}
        self._stale: list[Mail] = []
        self.closed = False

    @property
    def busy(self) -> bool:
        """Whether anything is claimed and not handed out yet."""
        return self._ahead > 0

    @property
    def _wanting(self) -> bool:
        """Half of what may lie ahead is gone. A claim costs the same for one as for a hundred, and signing in batches
        costs less."""
        return self._ahead < self._target // 2

    async def next(self) -> Mail | None:
        """The next mail, as soon as there is one; None when no more will come."""
        while not self.closed:
            if self._ready:
                mail = self._take()
            else:
                # Somebody waits: the next claims may be larger.
                self._target = min(self._target * 2, LARGEST) if self._ahead else self._target
                future: asyncio.Future[Mail | None] = asyncio.get_running_loop().create_future()
                self._waiting.append(future)
                self._room.set()
                found = await future
                if found is None:
                    return None
                mail = found
            if mail.good_until - self._clock.boot() > FRESH:
                return mail
            self._stale.append(mail)
            self._target = max(self._target // 2, SMALLEST)
        return None

    def put_back(self, mail: Mail) -> None:
        """A mail whose connection could not be had: first in line for the next one."""
        self._ahead += 1
        self._ready.appendleft(mail)

    def close(self) -> None:
        """Nothing is claimed or handed out any more."""
        self.closed = True
        self._room.set()
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def refused(self, mail: Mail) -> None:
        """A mail that may not begin now: back in line, where the next claim decides about it."""
        self._stale.append(mail)

    async def run(self) -> None:
        """Claims and prepares until closed or cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._claim_on())
            for _ in range(self._threads):
                tasks.create_task(self._prepare_on())

    async def _claim_on(self) -> None:
        log = logger("dispatch.relay")
        while not self.closed:
            claimed = 0
            try:
                await self._return_stale()
                mailing = self._choose() if self._wanting else None
                if mailing is not None:
                    claimed = await self._claim(mailing)
            except StorageUnavailable as wrong:
                log.info("nothing claimed", reason=str(wrong))
                await asyncio.sleep(0.5)
            if not claimed:
                self._room.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._room.wait(), 0.1)

    async def _claim(self, mailing: RunningMailing) -> int:
        if mailing.over:
            done = await expire_mailing(self._db, mailing.account_id, mailing.id)
            self._rest(mailing, 1.0 if not done else 0.0)
            return done
        rows = await claim_batch(
            self._db, self._clock, mailing, self._lease.fence, min(BATCH, self._target - self._ahead)
        )
        self._ahead += len(rows)
        if not rows:
            self._rest(mailing, 0.2)
        for at in range(0, len(rows), CHUNK):
            await self._chunks.put((mailing, rows[at : at + CHUNK]))
        return len(rows)

    def _choose(self) -> RunningMailing | None:
        """The next mailing with something due, in turn: a small one does not wait for a large one to end."""
        if not self._lease.alive(self._clock.boot()) or self._clock.boot() >= self._view.fresh_until:
            return None
        now = self._clock.boot()
        due = [
            m for m in self._view.running.values() if (m.due or m.over) and self._empty.get(m.id, 0.0) <= now
        ]
        due = [m for m in due if self._avoid.get(m.id, 0.0) <= now]
        if not due:
            return None
        due.sort(key=_turn)
        chosen = next((mailing for mailing in due if _turn(mailing) > self._last), due[0])
        self._last = _turn(chosen)
        return chosen

    def _rest(self, mailing: RunningMailing, seconds: float) -> None:
        now = self._clock.boot()
        self._empty = {key: until for key, until in self._empty.items() if until > now}
        self._empty[mailing.id] = now + seconds

    async def _prepare_on(self) -> None:
        while True:
            mailing, rows = await self._chunks.get()
            beginnings: list[Beginning] = [(mailing.account_id, row["id"], row["attempt_id"]) for row in rows]
            try:
                prepared = await self._preparer.prepare(mailing, rows)
            except (Unusable, StorageUnavailable) as wrong:
                logger("dispatch.relay").warning(
                    "mailing not prepared", mailing=str(mailing.id), error=str(wrong)
                )
                self._avoid[mailing.id] = self._clock.boot() + AVOID_FOR
                await self._drop([(beginning, "queued", None) for beginning in beginnings])
                continue
            for mail in prepared.mails:
                self._hand(mail)
            if prepared.faults:
                await self._drop([(beginning, "skipped", why) for beginning, why in prepared.faults])

    def _hand(self, mail: Mail) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                self._ahead -= 1
                future.set_result(mail)
                return
        self._ready.append(mail)

    def _take(self) -> Mail:
        self._ahead -= 1
        if self._wanting:
            self._room.set()
        return self._ready.popleft()

    async def _drop(self, messages: Sequence[tuple[Beginning, str, str | None]]) -> None:
        self._ahead -= len(messages)
        with contextlib.suppress(StorageUnavailable):
            # A claim that cannot be given back now runs out by itself.
            await unclaim(self._db, messages, self._lease.fence)

    async def _return_stale(self) -> None:
        stale, self._stale = self._stale, []
        await unclaim(self._db, [(mail.beginning, "queued", None) for mail in stale], self._lease.fence)


def _turn(mailing: RunningMailing) -> bytes:
    return mailing.account_id.bytes + mailing.id.bytes
