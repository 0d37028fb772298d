"""suppression.actions.group_commit: concurrent requests of this process share one commit; each is answered after it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from dataclasses import dataclass
from uuid import UUID

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.common.web.call import Call
from mailmaker.suppression.actions.bell import Bell
from mailmaker.suppression.actions.record import Outcome, record
from mailmaker.suppression.domain.no import No
from mailmaker.suppression.errors import TooBusy

TOGETHER = 64
WAITING = 4000
WRITERS = 2
COMMIT_TIMEOUT = 10.0


@dataclass(slots=True)
class _Asked:
    no: No
    answer: asyncio.Future[Outcome]
    call: Call | None


class GroupCommit:
    """A resource. While one transaction commits, the requests that arrive gather for the next.

    A transaction is of one account, so that row-level security holds in it too; accounts take turns.
    """

    def __init__(self, db: Database, bell: Bell) -> None:
        self._db = db
        self._bell = bell
        self._queues: OrderedDict[UUID, deque[_Asked]] = OrderedDict()
        self._waiting = 0
        self._work = asyncio.Event()
        self._writers: list[asyncio.Task[None]] = []
        self._log = logger("suppression.actions")

    async def open(self) -> None:
        self._writers = [asyncio.create_task(self._write()) for _ in range(WRITERS)]

    async def close(self) -> None:
        """Whoever still waits is refused: nothing was promised to them."""
        for writer in self._writers:
            writer.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)
        for queue in self._queues.values():
            for asked in queue:
                _refuse(asked, StorageUnavailable("this process is ending"))
        self._queues.clear()
        self._waiting = 0

    async def submit(self, no: No, call: Call | None = None) -> Outcome:
        """Answers after the commit; an API's `call` has its line of the audit trail in the same one.

        Raises TooBusy or StorageUnavailable: then the "no" may be recorded or not, and its id makes it harmless to hand
        it over again."""
        if self._waiting >= WAITING:
            raise TooBusy("too many requests are waiting to be recorded")
        asked = _Asked(no, asyncio.get_running_loop().create_future(), call)
        self._queues.setdefault(no.account_id, deque()).append(asked)
        self._waiting += 1
        self._work.set()
        return await asked.answer

    async def _write(self) -> None:
        while True:
            await self._work.wait()
            group = self._next()
            if group:
                try:
                    await self._commit(group)
                except asyncio.CancelledError:
                    for asked in group:
                        _refuse(asked, StorageUnavailable("this process is ending"))
                    raise

    def _next(self) -> list[_Asked]:
        if not self._queues:
            self._work.clear()
            return []
        account, queue = self._queues.popitem(last=False)
        taken = [queue.popleft() for _ in range(min(TOGETHER, len(queue)))]
        if queue:
            self._queues[account] = queue
        self._waiting -= len(taken)
        return [asked for asked in taken if not asked.answer.done()]

    async def _commit(self, group: list[_Asked]) -> None:
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT), self._db.account(group[0].no.account_id) as tx:
                outcomes = await record(tx, [asked.no for asked in group])
                for asked, outcome in zip(group, outcomes, strict=True):
                    if asked.call is not None:
                        tx.audited(asked.call, "suppression.recorded", outcome.entry)
        except (StorageUnavailable, OSError) as wrong:
            for asked in group:
                _refuse(asked, StorageUnavailable(str(wrong)))
        except Exception as wrong:
            await self._one_by_one(group, wrong)
        else:
            self._bell.ring_feed()
            if any(asked.no.incomplete for asked in group):
                self._bell.ring_incomplete()
            for asked, outcome in zip(group, outcomes, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(outcome)

    async def _one_by_one(self, group: list[_Asked], wrong: Exception) -> None:
        # One request that cannot be recorded must not take its neighbours with it.
        if len(group) == 1:
            self._log.error("a no could not be recorded", error=type(wrong).__name__, exc_info=wrong)
            _refuse(group[0], StorageUnavailable("it could not be recorded"))
            return
        for asked in group:
            await self._commit([asked])


def _refuse(asked: _Asked, wrong: Exception) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        asked.answer.set_exception(wrong)
