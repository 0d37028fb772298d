"""dispatch.relay: the group commit: what came while the last group was committing is the next group."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from datetime import datetime

import asyncpg
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import StorageUnavailable
from mailmaker.dispatch.actions.begin_and_settle import BeginAndSettle
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.storage.outcomes import Ended

LARGEST = 500
LINGER = 0.002


class GroupCommit:
    """Collects outcomes and begins of all connections of one fence. One group is under way at a time."""

    def __init__(
        self, door: BeginAndSettle, fence: int, now: Callable[[], datetime], connections: int
    ) -> None:
        self._door = door
        self._fence = fence
        self._now = now
        self._enough = max(1, connections // 2)
        self._ended: list[Ended] = []
        self._begins: list[tuple[Mail, asyncio.Future[bool]]] = []
        self._wake = asyncio.Event()
        self._under_way = asyncio.Lock()
        self.closed = False
        self.groups = 0
        self.grouped = 0

    def settle(self, ended: Ended) -> None:
        """An attempt has ended; it is written with the next group, and again until it is known to be."""
        self._ended.append(ended)
        self._wake.set()

    def begin(self, mail: Mail) -> asyncio.Future[bool]:
        """True once `sending` is committed. False: the message must not be sent by us."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.closed:
            answer.set_result(False)
            return answer
        self._begins.append((mail, answer))
        self._wake.set()
        return answer

    async def run(self) -> None:
        """Until cancelled. A group that fails is tried again with back-off; its begins are refused at once."""
        pause = 0.05
        while True:
            await self._wake.wait()
            if len(self._begins) + len(self._ended) < 2 * self._enough:
                # A moment for the others: a statement costs the same for one as for twenty.
                await asyncio.sleep(LINGER)
            self._wake.clear()
            if await self.commit():
                pause = 0.05
            else:
                await asyncio.sleep(pause * random.uniform(0.7, 1.3))
                pause = min(pause * 2, 2.0)

    async def commit(self) -> bool:
        """One group. False when PostgreSQL did not answer."""
        async with self._under_way:
            return await self._commit()

    async def _commit(self) -> bool:
        ended, self._ended = self._ended[:LARGEST], self._ended[LARGEST:]
        begins, self._begins = self._begins[:LARGEST], self._begins[LARGEST:]
        if not ended and not begins:
            return True
        begun = None
        try:
            begun = await self._door.group(ended, [mail.beginning for mail, _ in begins], self._fence)
        except (StorageUnavailable, asyncpg.PostgresError) as wrong:
            logger("dispatch.relay").warning("group not committed", error=type(wrong).__name__)
        finally:
            if begun is None:
                self._ended = ended + [self._taken_back(mail) for mail, _ in begins] + self._ended
            for mail, answer in begins:
                if not answer.done():
                    answer.set_result(begun is not None and mail.id in begun)
                elif begun is not None and mail.id in begun:
                    # Nobody waits for it any more: it has begun on paper only.
                    self._ended.append(self._taken_back(mail))
            if self._ended or self._begins:
                self._wake.set()
        self.groups += 1
        self.grouped += len(begins)
        return begun is not None

    async def flush(self, patience: float) -> int:
        """Refuses begins from now on and writes what has ended. Returns how many outcomes could not be written."""
        self.closed = True
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        for _, answer in self._begins:
            if not answer.done():
                answer.set_result(False)
        self._begins.clear()
        done = await self.commit()
        while self._ended and loop.time() < until:
            if not done:
                await asyncio.sleep(random.uniform(0.1, 0.5))
            done = await self.commit()
        with contextlib.suppress(OSError):
            await self._door.close()
        return len(self._ended)

    def _taken_back(self, mail: Mail) -> Ended:
        """For a message that may have begun on paper and is not sent: back in line, if it had."""
        return Ended(
            account_id=mail.account_id,
            id=mail.id,
            attempt_id=mail.attempt_id,
            state="queued",
            reason=None,
            due_at=None,
            counted=False,
            reply_code=None,
            reply_text=None,
            feed_stamp=0,
            ended_at=self._now(),
            source=mail.source,
        )
