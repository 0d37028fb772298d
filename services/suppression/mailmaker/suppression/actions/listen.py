"""suppression.actions.listen: other processes' commits ring this process's bell."""

from __future__ import annotations

import asyncio

from mailmaker.common.storage.engine import Database
from mailmaker.suppression.actions.bell import Bell
from mailmaker.suppression.storage import enforced, feed, notices


class Listen:
    """A worker. When the connection is lost it falls and is started again; meanwhile who waits polls."""

    name = "listen"

    def __init__(self, db: Database, bell: Bell) -> None:
        self._db = db
        self._bell = bell

    async def run(self, stop: asyncio.Event) -> None:
        await notices.listen(self._db, (feed.WAKE_CHANNEL, enforced.WAKE_CHANNEL), self._heard, stop)

    def _heard(self, channel: str, payload: str) -> None:
        if channel == feed.WAKE_CHANNEL:
            self._bell.ring_feed()
        else:
            self._bell.ring_entries(enforced.ids_of(payload))
