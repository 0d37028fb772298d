"""suppression.actions.figures: what this house counts, and the worker that looks at what is still pending."""

from __future__ import annotations

import asyncio

from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.suppression.actions.bell import until
from mailmaker.suppression.storage import enforced


class Figures:
    """The counters of the promise."""

    def __init__(self, metrics: Metrics) -> None:
        self._received = metrics.counter(
            "mailmaker_opt_out_received_total", 'Every "no" acknowledged, repetitions too.', ("door",)
        )
        self._enforced = metrics.seconds(
            "mailmaker_opt_out_enforced_seconds", "From recorded to enforced.", ("door",)
        )
        self._oldest = metrics.gauge(
            "mailmaker_suppression_oldest_pending_seconds", 'Age of the oldest "no" not yet enforced.'
        )

    def received(self, door: str) -> None:
        self._received.labels(door).inc()

    def enforced(self, door: str, seconds: float) -> None:
        self._enforced.labels(door).observe(max(0.0, seconds))

    def oldest_pending(self, seconds: float) -> None:
        self._oldest.set(max(0.0, seconds))


class WatchPending:
    """A worker: reads each second how long the oldest "no" has been waiting."""

    name = "pending"

    def __init__(self, db: Database, figures: Figures) -> None:
        self._db = db
        self._figures = figures

    async def run(self, stop: asyncio.Event) -> None:
        while not await until(stop, 1.0):
            try:
                async with self._db.platform() as tx:
                    self._figures.oldest_pending(await enforced.oldest_pending(tx))
            except StorageUnavailable:
                continue
