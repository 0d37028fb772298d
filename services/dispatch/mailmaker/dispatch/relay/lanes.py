"""dispatch.relay: the connections of one way out: each takes a mail, begins it, looks, sends it, says how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from datetime import timedelta

from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.dispatch.domain.last_look import STOPPING, WAY_CLOSED, Refusal, look
from mailmaker.dispatch.domain.leases import Lease
from mailmaker.dispatch.domain.reactions import Reaction
from mailmaker.dispatch.domain.retry import RetryPlan
from mailmaker.dispatch.relay.connect import NotConnected
from mailmaker.dispatch.relay.group import GroupCommit
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.relay.reply import Answered, End, Withheld, ended
from mailmaker.dispatch.relay.session import Session
from mailmaker.dispatch.relay.sessions import Sessions
from mailmaker.dispatch.relay.supply import Supply
from mailmaker.dispatch.relay.throttle import Throttle
from mailmaker.dispatch.relay.view import RelayView
from mailmaker.dispatch.relay.way import Elsewhere, Nowhere, Target, Way
from mailmaker.dispatch.storage.outcomes import Unbegun

MOVED_AFTER = timedelta(seconds=5)
"""A mail whose domain has moved to another lane waits this long: two processes that disagree must not toss it about."""
NO_DNS = 30.0
"""Seconds, and up to as many again, after which a domain is asked for again whose DNS did not answer."""
FULL = 2.0
"""Seconds, and up to as many again, for a site whose connections are all in use, where others share the lane."""
SHORT = 1.0
AT_MOST = 30.0
"""Seconds that a connection waits for its turn; a mail that must wait longer waits in the database."""


class Lanes:
    """All connections of one way out under one lease."""

    def __init__(
        self,
        clock: Clock,
        lease: Lease,
        view: RelayView,
        supply: Supply,
        group: GroupCommit,
        way: Way,
        throttle: Throttle,
        plan: RetryPlan,
        count: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._lease = lease
        self._view = view
        self._supply = supply
        self._group = group
        self._way = way
        self._throttle = throttle
        self._plan = plan
        self._count = count
        self.sessions = Sessions(clock.boot, throttle)
        self.stopping = False
        self._stopped = asyncio.Event()

    async def lane(self) -> None:
        """One connection at a time, again and again, until no more mail comes."""
        while (mail := await self._supply.next()) is not None:
            target = await self._find(mail)
            if target is None:
                continue
            site = target.site
            if self._way.shared and self.sessions.full(site):
                self._later(mail, FULL * (1 + random.random()))
                continue
            if (wait := self._throttle.wait(site, self._clock.boot())) > 0:
                await self._wait(mail, site, wait)
                continue
            probe, block = self._throttle.probing(site), self._throttle.block()
            session = await self._open(mail, target, probe=probe)
            if session is None:
                self._throttle.unsent(block)
                continue
            if not await self._group.begin(mail):
                self._supply.send_away(Unbegun(mail.beginning))
                self._throttle.unsent(block)
                self._end_probe(site, probe=probe)
                self.sessions.keep(session)
                continue
            # From here to the envelope's write nothing is awaited: `transact` looks and writes in this very step.
            end: End
            if self.stopping:
                end = Withheld(STOPPING)
            else:
                end = await session.transact(mail, self.look)
            self._settle(mail, site, end, probe=probe)
            self.sessions.keep(session)

    def stop(self) -> None:
        """Nothing is written any more, and nobody waits."""
        self.stopping = True
        self._stopped.set()

    def look(self, mail: Mail) -> Refusal | None:
        """The last look (design section 6, step 3)."""
        refusal = look(
            self._clock.boot(),
            self._lease,
            self._view,
            mail.account_id,
            mail.mailing_id,
            mail.list_id,
            mail.channel,
            mail.subjects,
        )
        return refusal or (None if self._way.takes(mail) else WAY_CLOSED)

    async def _find(self, mail: Mail) -> Target | None:
        """Where the mail goes; None when it does not go from here now."""
        try:
            return await self._way.target(mail)
        except Nowhere as wrong:
            self._supply.send_away(Unbegun(mail.beginning, "bounced", wrong.reason))
            self._count("bounced")
        except Elsewhere as moved:
            due = self._clock.now() + MOVED_AFTER
            self._supply.send_away(Unbegun(mail.beginning, due_at=due, lane=moved.lane))
        except NotConnected as wrong:
            logger("dispatch.relay").info("no site found", reason=str(wrong))
            self._later(mail, NO_DNS * (1 + random.random()), away=True)
        except BaseException:
            self._supply.put_back(mail)
            raise
        return None

    async def _open(self, mail: Mail, target: Target, *, probe: bool) -> Session | None:
        """A connection to the target: one that is open and idle, or a new one. None: the mail waits."""
        site = target.site
        trying = probe
        try:
            if (session := self.sessions.idle(site)) is not None:
                return session
            if not await self.sessions.room(site):
                self._end_probe(site, probe=probe)
                self._later(mail, 1 + random.random())
                return None
            if (wait := self._throttle.connecting(site, self._clock.boot(), probe=probe)) > 0:
                self._end_probe(site, probe=probe)
                await self._wait(mail, site, wait)
                return None
            trying = True
            session = await self.sessions.opened(site, self._way.open(target))
        except NotConnected as wrong:
            wait = self._throttle.failed(site, self._clock.boot(), random.random())
            logger("dispatch.relay").info("server not reached", site=site, reason=str(wrong))
            await self._wait(mail, site, wait)
            return None
        except BaseException:
            self._supply.put_back(mail)
            self._end_probe(site, probe=trying)
            raise
        self._throttle.connected(site, self._clock.boot(), probe=probe)
        return session

    def _end_probe(self, site: str, *, probe: bool) -> None:
        if probe:
            self._throttle.withdrawn(site)

    async def _wait(self, mail: Mail, site: str, wait: float) -> None:
        """A short wait is waited here, the mail first in line for whoever is ready. A long one is waited by the mail, if
        its way has other sites to go to; else all that is ready here goes back, for another way may have room."""
        if self._way.shared and wait > SHORT:
            self._later(mail, wait, away=self._throttle.away(site, self._clock.boot()))
            return
        if self._throttle.away(site, self._clock.boot()):
            self._supply.send_away(Unbegun(mail.beginning))
            self._supply.send_ready_away()
        else:
            self._supply.put_back(mail)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), min(wait, AT_MOST))

    def _later(self, mail: Mail, wait: float, *, away: bool = False) -> None:
        due = self._clock.now() + timedelta(seconds=wait)
        state, reason = ("deferred", "connect") if away else ("queued", None)
        self._supply.send_away(Unbegun(mail.beginning, state, reason, due_at=due))

    def _settle(self, mail: Mail, site: str, end: End, *, probe: bool) -> None:
        now, chance = self._clock.boot(), random.random()
        if isinstance(end, Answered):
            for reaction in self._throttle.heard(site, end.reply, now, chance, probe=probe):
                self._tell(site, reaction)
        elif isinstance(end, Withheld):
            self._end_probe(site, probe=probe)
        elif probe:
            self._throttle.failed(site, now, chance)
        outcome = ended(mail, end, self._clock.now(), self._view.number, self._plan)
        self._group.settle(outcome)
        self._count(outcome.state)

    def _tell(self, site: str, reaction: Reaction) -> None:
        log = logger("dispatch.relay")
        say = log.error if reaction.action == "page" else log.warning
        about = {"source": self._way.name, "site": site, "rule": reaction.rule}
        say("a provider's reply set off a rule", action=reaction.action, seconds=reaction.seconds, **about)
