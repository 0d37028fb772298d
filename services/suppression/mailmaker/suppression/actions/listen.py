"""suppression.actions.listen: other processes' commits ring this process's bell."""

from __future__ import annotations

import asyncio
import random

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.suppression.actions.bell import Bell, until
from mailmaker.suppression.storage import enforced, feed, notices

AGAIN = 0.5


class Listen:
    """A worker. While the connection is lost it tries again twice a second, and who waits looks by himself."""

    name = "listen"

    def __init__(self, db: Database, bell: Bell) -> None:
        self._db = db
        self._bell = bell

    async def run(self, stop: asyncio.Event) -> None:
        log = logger("suppression.actions")
        channels = (feed.WAKE_CHANNEL, enforced.WAKE_CHANNEL)
        while not stop.is_set():
            try:
                await notices.listen(self._db, channels, self._heard, stop)
            except (StorageUnavailable, OSError) as wrong:
                log.info("not listening", reason=str(wrong))
                await until(stop, AGAIN * random.uniform(0.7, 1.3))

    def _heard(self, channel: str, payload: str) -> None:
        if channel == feed.WAKE_CHANNEL:
            self._bell.ring_feed()
        else:
            self._bell.ring_entries(enforced.ids_of(payload))
