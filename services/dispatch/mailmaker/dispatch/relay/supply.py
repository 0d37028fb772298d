"""dispatch.relay: keeps a few prepared mails ahead of the connections: claims fairly, never far ahead."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence

from asyncpg import Record
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.dispatch.actions.begin_and_settle import unclaim
from mailmaker.dispatch.actions.claim_batch import claim_batch, expire_mailing
from mailmaker.dispatch.domain.leases import Lease
from mailmaker.dispatch.domain.running import Order, RunningMailing, in_turn, turn_of
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.relay.prepare import Preparer, Unusable
from mailmaker.dispatch.relay.rests import Rests
from mailmaker.dispatch.relay.view import RelayView
from mailmaker.dispatch.storage.outcomes import Beginning, Unbegun

CHUNK = 64
SMALLEST, BATCH, LARGEST = 32, 480, 960
FRESH = 2.0
"""Seconds of its claim that a mail must still have when it is handed out."""
AVOID_FOR = 30.0


class Supply:
    """`next` gives the connections of one way out mails. `run` keeps them coming under one lease. `orders` says what may
    be claimed now, `room` how many it makes sense to have claimed; `source` is the name of the way."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        lease: Lease,
        view: RelayView,
        preparer: Preparer,
        threads: int,
        orders: Callable[[], Sequence[Order]],
        source: str,
        room: Callable[[float], int],
    ) -> None:
        self._db = db
        self._clock = clock
        self._lease = lease
        self._view = view
        self._preparer = preparer
        self._threads = threads
        self._orders = orders
        self._source = source
        self._room_for = room
        self._ready: deque[Mail] = deque()
        self._waiting: deque[asyncio.Future[Mail | None]] = deque()
        self._chunks: asyncio.Queue[tuple[RunningMailing, Sequence[Record]]] = asyncio.Queue(
            LARGEST // CHUNK + 1
        )
        self._room = asyncio.Event()
        self._target = SMALLEST
        self._ahead = 0
        self._last = b""
        self._rests = Rests()
        self._back: list[Unbegun] = []
        self.closed = False
        self._claimed_last = asyncio.Event()

    @property
    def busy(self) -> bool:
        """Whether anything is claimed and not handed out."""
        return self._ahead > 0

    @property
    def waiting(self) -> bool:
        """Whether a mail is ready that no connection has taken."""
        return bool(self._ready)

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
            self._back.append(Unbegun(mail.beginning))
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

    def send_away(self, unbegun: Unbegun) -> None:
        """A mail that is not begun here: to wait, to take another lane, or to end for good."""
        self._back.append(unbegun)
        self._room.set()

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
                await self._give_back()
                order = self._choose() if self._wanting else None
                if order is not None:
                    claimed = await self._claim(order)
            except StorageUnavailable as wrong:
                log.info("nothing claimed", reason=str(wrong))
                await asyncio.sleep(0.5)
            if not claimed:
                self._room.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._room.wait(), 0.1)
        self._claimed_last.set()

    async def _claim(self, order: Order) -> int:
        mailing = order.mailing
        if mailing.over:
            done = await expire_mailing(self._db, mailing.account_id, mailing.id)
            self._rests.rest(mailing.id, self._clock.boot(), 0.0 if done else 1.0)
            return done
        most = min(self._target, self._room_for(self._clock.boot())) - self._ahead
        if most <= 0:
            return 0
        rows = await claim_batch(self._db, self._clock, order, self._lease.fence, min(BATCH, most))
        self._ahead += len(rows)
        self._rests.claimed(mailing.id, self._clock.boot(), len(rows), even=mailing.rate is not None)
        for at in range(0, len(rows), CHUNK):
            await self._chunks.put((mailing, rows[at : at + CHUNK]))
        return len(rows)

    def _choose(self) -> Order | None:
        """The next mailing with something due, in turn: a small one does not wait for a large one to end."""
        now = self._clock.boot()
        if not self._lease.alive(now) or now >= self._view.fresh_until:
            return None
        due = [order for order in self._orders() if self._rests.over(order.mailing.id, now)]
        chosen = in_turn(due, self._last)
        self._last = self._last if chosen is None else turn_of(chosen)
        return chosen

    async def _prepare_on(self) -> None:
        while True:
            mailing, rows = await self._chunks.get()
            beginnings: list[Beginning] = [(mailing.account_id, row["id"], row["attempt_id"]) for row in rows]
            try:
                prepared = await self._preparer.prepare(mailing, rows)
            except asyncio.CancelledError:
                self._back += [Unbegun(beginning) for beginning in beginnings]
                raise
            except (Unusable, StorageUnavailable) as wrong:
                logger("dispatch.relay").warning(
                    "mailing not prepared", mailing=str(mailing.id), error=str(wrong)
                )
                self._rests.rest(mailing.id, self._clock.boot(), AVOID_FOR)
                await self._drop([Unbegun(beginning) for beginning in beginnings])
                continue
            for mail in prepared.mails:
                self._hand(mail)
            if prepared.faults:
                await self._drop([Unbegun(beginning, "skipped", why) for beginning, why in prepared.faults])

    def _hand(self, mail: Mail) -> None:
        mail.source = self._source
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

    async def _drop(self, messages: Sequence[Unbegun]) -> None:
        self._ahead -= len(messages)
        with contextlib.suppress(StorageUnavailable):
            # A claim that cannot be given back now runs out by itself.
            await unclaim(self._db, messages, self._lease.fence)

    def send_ready_away(self) -> None:
        """All that no connection has taken goes back in line."""
        self._ahead -= len(self._ready)
        self._back += [Unbegun(mail.beginning) for mail in self._ready]
        self._ready.clear()
        self._room.set()

    async def last_claim(self, patience: float) -> None:
        """After `close`: returns when nothing is being claimed any more, or it takes too long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._claimed_last.wait(), patience)

    async def give_all_back(self) -> None:
        """When nothing works at it any more: everything that no connection has taken goes back in line."""
        while not self._chunks.empty():
            mailing, rows = self._chunks.get_nowait()
            self._back += [Unbegun((mailing.account_id, row["id"], row["attempt_id"])) for row in rows]
        self.send_ready_away()
        with contextlib.suppress(StorageUnavailable):
            await self._give_back()

    async def _give_back(self) -> None:
        back, self._back = self._back, []
        await unclaim(self._db, back, self._lease.fence)
