"""dispatch.actions: finds where the mail of running mailings goes, domain by domain, and puts it into its lanes."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Protocol

from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.dispatch.domain.mx import Destination, Route
from mailmaker.dispatch.domain.shaping import Shaping, lane_of, site_of
from mailmaker.dispatch.storage import egress, sites
from mailmaker.dispatch.storage.sites import Site

EVERY = 0.5
WANT_EVERY = 30.0
TIDY_EVERY = 3600.0
AT_ONCE = 200
"""Domains asked for together: what the first answers say is put to use before the last ones have come."""
UNKNOWN_FOR = timedelta(minutes=5)
"""How long a domain that does not exist, takes no mail, or does not answer keeps the lane that its name gives it: there its
mail ends, or waits, one by one."""


class Resolver(Protocol):
    """Who knows where mail for a domain goes."""

    async def hosts_of(self, domain: str) -> Route: ...


class FindSites:
    """A worker of every process that has one: what two do at once is done twice and is the same."""

    name = "sites"

    def __init__(self, db: Database, mx: Resolver, shaping: Shaping, clock: Clock) -> None:
        self._db = db
        self._mx = mx
        self._shaping = shaping
        self._clock = clock
        self._tidied = float("-inf")
        self._wanted = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        while not stop.is_set():
            found = 0
            try:
                found = await self.step()
            except StorageUnavailable as wrong:
                logger("dispatch.actions").info("sites not found", reason=str(wrong))
            if not found:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), EVERY)

    async def step(self) -> int:
        """One look: asks about some domains that are not known, and puts into lanes what can be put. Returns how many."""
        async with self._db.platform() as tx:
            placed = await sites.put(tx)
            domains = await sites.unknown_domains(tx)
            if self._clock.boot() - self._tidied > TIDY_EVERY:
                await sites.sweep(tx)
                self._tidied = self._clock.boot()
        if self._clock.boot() - self._wanted > WANT_EVERY:
            await self._want()
            self._wanted = self._clock.boot()
        for at in range(0, len(domains), AT_ONCE):
            known = await asyncio.gather(*(self._site(domain) for domain in domains[at : at + AT_ONCE]))
            async with self._db.platform() as tx:
                await sites.know(tx, known)
                placed += await sites.put(tx)
        return placed

    async def _want(self) -> None:
        """What was written before its account's mail went by lane: at the expansion, or by a release that knew none."""
        async with self._db.platform() as tx:
            mailings = await sites.live_mailings(tx)
            ways = await egress.of_accounts(tx, sorted({account for account, _ in mailings}))
        for account, mailing in mailings:
            more = account in ways and ways[account].by_lane
            while more:
                async with self._db.platform() as tx:
                    more = await sites.want(tx, account, mailing)

    async def _site(self, domain: str) -> Site:
        route = await self._mx.hosts_of(domain)
        now = self._clock.now()
        if not isinstance(route, Destination):
            lane = lane_of(self._shaping.provider_of(domain, ()), domain)
            return Site(domain, "", lane, now + UNKNOWN_FOR)
        names = [host.name for host in route.hosts]
        site = site_of(names)
        lane = lane_of(self._shaping.provider_of(domain, names), site)
        return Site(domain, site, lane, now + timedelta(seconds=route.expires - self._clock.boot()))
