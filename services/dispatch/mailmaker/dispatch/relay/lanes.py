"""dispatch.relay: the connections: each takes a mail, begins it, looks, sends it, says how it ended, takes the next."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.dispatch.domain.last_look import STOPPING, Refusal, look
from mailmaker.dispatch.domain.leases import Lease
from mailmaker.dispatch.domain.retry import RetryPlan
from mailmaker.dispatch.relay.connect import NotConnected
from mailmaker.dispatch.relay.group import GroupCommit
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.relay.reply import End, Withheld, ended
from mailmaker.dispatch.relay.session import Session
from mailmaker.dispatch.relay.supply import Supply
from mailmaker.dispatch.relay.view import RelayView

IDLE_FOR = 10.0
TICK = 0.5
MAX_PER_CONNECTION = 1000
Connect = Callable[[], Awaitable[Session]]


class Lanes:
    """All connections of one relay under one lease."""

    def __init__(
        self,
        clock: Clock,
        lease: Lease,
        view: RelayView,
        supply: Supply,
        group: GroupCommit,
        connect: Connect,
        plan: RetryPlan,
        count: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._lease = lease
        self._view = view
        self._supply = supply
        self._group = group
        self._connect = connect
        self._plan = plan
        self._count = count
        self._sessions: set[Session] = set()
        self.stopping = False

    async def lane(self) -> None:
        """One connection, again and again, until no more mail comes."""
        session: Session | None = None
        pause = 0.0
        while (mail := await self._supply.next()) is not None:
            if session is None or not session.usable or session.sent >= MAX_PER_CONNECTION:
                if session is not None:
                    self._leave(session)
                session = await self._open(mail)
                if session is None:
                    pause = min(max(pause * 2, 0.5), 30.0)
                    await self._pause(pause * random.uniform(0.5, 1.0))
                    continue
            pause = 0.0
            if not await self._group.begin(mail):
                self._supply.refused(mail)
                continue
            # From here to the envelope's write nothing is awaited: `transact` looks and writes in this very step.
            end: End
            if self.stopping:
                end = Withheld(STOPPING)
            else:
                end = await session.transact(mail, self.look)
            self._settle(mail, end)
        if session is not None:
            self._leave(session)

    def look(self, mail: Mail) -> Refusal | None:
        """The last look (design section 6, step 3)."""
        return look(
            self._clock.boot(),
            self._lease,
            self._view,
            mail.account_id,
            mail.mailing_id,
            mail.list_id,
            mail.channel,
            mail.subjects,
        )

    async def watch(self) -> None:
        """Ends transactions that take too long and connections that idle too long. Until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            now = self._clock.boot()
            for session in list(self._sessions):
                if session.deadline < now:
                    session.abort("the server took too long")
                elif session.idle and now - session.idle_since > IDLE_FOR:
                    session.quit()
                if session.dead:
                    self._sessions.discard(session)

    def abort_all(self) -> None:
        """Closes every socket now, before anything else is done."""
        for session in self._sessions:
            session.abort("the lease was lost")
        self._sessions.clear()

    async def _open(self, mail: Mail) -> Session | None:
        try:
            session = await self._connect()
        except NotConnected as wrong:
            logger("dispatch.relay").info("smarthost not reached", reason=str(wrong))
            self._supply.put_back(mail)
            return None
        except BaseException:
            self._supply.put_back(mail)
            raise
        self._sessions.add(session)
        return session

    def _leave(self, session: Session) -> None:
        session.quit()
        self._sessions.discard(session)

    def _settle(self, mail: Mail, end: End) -> None:
        outcome = ended(mail, end, self._clock.now(), self._view.number, self._plan)
        self._group.settle(outcome)
        self._count(outcome.state)

    async def _pause(self, seconds: float) -> None:
        until = self._clock.boot() + seconds
        while not self.stopping and (left := until - self._clock.boot()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.sleep(min(left, 0.5))
