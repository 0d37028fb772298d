"""dispatch.relay: the worker: takes a lease, sends under it, takes the next when it is lost."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from mailmaker.common.mail.tokens import TokenKeys
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.actions.hold_lease import take_lease
from mailmaker.dispatch.relay.prepare import Preparer
from mailmaker.dispatch.relay.shift import RelaySettings, Shift
from mailmaker.dispatch.relay.source import Sources
from mailmaker.dispatch.storage.seal import Seal
from prometheus_client import Counter


class Relay:
    """A worker: sends what is due, as one fence at a time."""

    name = "relay"

    def __init__(
        self,
        db: Database,
        clock: Clock,
        keys: TokenKeys,
        seal: Seal,
        settings: RelaySettings,
        metrics: Metrics,
        sources: Sources,
    ) -> None:
        self._db = db
        self._clock = clock
        self._keys = keys
        self._seal = seal
        self._settings = settings
        self._sources = sources
        self._outcomes = metrics.counter("mailmaker_messages", "Attempts that ended.", ("outcome",))
        self._counters: dict[str, Counter] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop. A lost lease is followed by a new one, under a new fence."""
        os.nice(max(0, self._settings.nice - os.nice(0)))
        threads = self._settings.threads
        with ThreadPoolExecutor(threads, thread_name_prefix="sign") as executor:
            closed: list[int] = []
            while not stop.is_set():
                lease = await take_lease(self._db, self._clock, closed)
                closed = [lease.fence]
                preparer = Preparer(
                    self._db, self._clock, self._settings.doors, self._keys, self._seal, executor
                )
                shift = Shift(
                    self._db, self._clock, self._settings, preparer, self._sources, self._count, lease
                )
                await shift.run(stop)

    def _count(self, outcome: str) -> None:
        counter = self._counters.get(outcome)
        if counter is None:
            counter = self._counters[outcome] = self._outcomes.labels(outcome)
        counter.inc()
