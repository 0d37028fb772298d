"""dispatch.relay: the open connections of one way out: never more than it may have, kept while they are of use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mailmaker.dispatch.relay.session import Session
from mailmaker.dispatch.relay.throttle import Throttle

TICK = 0.5
CLOSING = 6.0
"""Seconds that a connection that said goodbye may take to be gone: its server, or the watch, ends it before."""


class Sessions:
    """Counts from the moment a connection is asked for to the moment it is gone, as the server does."""

    def __init__(self, clock: Callable[[], float], throttle: Throttle) -> None:
        self._clock = clock
        self._throttle = throttle
        self._sites: dict[Session, str] = {}
        self._opening: list[str] = []
        self._idle: list[Session] = []

    def idle(self, site: str) -> Session | None:
        """An open connection to the site that nobody uses, taken; the one used last, so that others may end."""
        for session in reversed(self._idle):
            if session.usable and self._sites.get(session) == site:
                self._idle.remove(session)
                return session
        return None

    def full(self, site: str) -> bool:
        """Whether every connection that the site may have is in use."""
        self._sweep()
        in_use = self._count(site) - sum(1 for session in self._idle if self._sites.get(session) == site)
        return in_use >= self._throttle.per_site(site)

    async def room(self, site: str) -> bool:
        """Waits until one more connection to the site may be opened. False: not in a moment."""
        until = self._clock() + CLOSING
        while True:
            self._sweep()
            if self._count(site) >= self._throttle.per_site(site):
                return False
            if len(self._sites) + len(self._opening) < self._throttle.connections:
                return True
            if self._idle:
                self._idle.pop(0).quit()
            if self._clock() >= until:
                return False
            await asyncio.sleep(0.02)

    async def opened(self, site: str, opening: Awaitable[Session]) -> Session:
        """The connection that is being opened, counted from now on. Raises NotConnected."""
        self._opening.append(site)
        try:
            session = await opening
        finally:
            self._opening.remove(site)
        self._sites[session] = site
        return session

    def keep(self, session: Session) -> None:
        """A connection that its lane does not need at the moment."""
        if not session.usable:
            return
        site = self._sites.get(session, "")
        over = len(self._sites) > self._throttle.connections
        if (
            over
            or self._count(site) > self._throttle.per_site(site)
            or session.sent >= self._throttle.per_connection
        ):
            session.quit()
        else:
            self._idle.append(session)

    def abort_all(self) -> None:
        """Closes every socket now, before anything else is done."""
        for session in self._sites:
            session.abort("the lease was lost")
        self._sites.clear()
        self._idle.clear()

    @property
    def resting(self) -> bool:
        """Whether no connection is being opened or used."""
        self._sweep()
        return not self._opening and not any(session.busy for session in self._sites)

    async def watch(self) -> None:
        """Ends transactions that take too long and connections that idle too long. Until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            now = self._clock()
            for session in list(self._sites):
                if session.deadline < now:
                    session.abort("the server took too long")
            for session in list(self._idle):
                if now - session.idle_since > self._throttle.idle_for:
                    self._idle.remove(session)
                    session.quit()
            self._sweep()

    def _count(self, site: str) -> int:
        return sum(1 for at in self._sites.values() if at == site) + self._opening.count(site)

    def _sweep(self) -> None:
        self._idle = [session for session in self._idle if session.usable]
        for session in [session for session in self._sites if session.dead]:
            del self._sites[session]
