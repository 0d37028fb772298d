"""suppression.actions.bell: wakes who waits in this process: for the feed to grow, for an entry to be enforced."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from uuid import UUID


class Bell:
    """Rung by this process after its own commits and by PostgreSQL's notifications for those of others.

    A ring only says "look again": who waits also looks by itself from time to time.
    """

    def __init__(self) -> None:
        self._feed = asyncio.Event()
        self._incomplete = asyncio.Event()
        self._entries: dict[UUID, set[asyncio.Event]] = {}

    def ring_feed(self) -> None:
        """The feed has grown."""
        self._feed.set()
        self._feed = asyncio.Event()

    def ring_incomplete(self) -> None:
        """An entry has come that contacts must complete."""
        self._incomplete.set()

    def next_feed(self) -> asyncio.Event:
        """Set when the feed grows after this call. Take it before looking."""
        return self._feed

    def incomplete(self) -> asyncio.Event:
        """Set when an entry has come that contacts must complete; the completing worker clears it."""
        return self._incomplete

    def ring_entries(self, ids: Iterable[UUID]) -> None:
        """dispatch has answered for lines of these entries."""
        for id in ids:
            for waiting in self._entries.get(id, ()):
                waiting.set()

    @contextlib.contextmanager
    def waiting(self, ids: Iterable[UUID]) -> Iterator[asyncio.Event]:
        """An event set at each answer for one of these entries, until the block ends."""
        rung = asyncio.Event()
        mine = set(ids)
        for id in mine:
            self._entries.setdefault(id, set()).add(rung)
        try:
            yield rung
        finally:
            for id in mine:
                others = self._entries[id]
                others.discard(rung)
                if not others:
                    del self._entries[id]


async def until(event: asyncio.Event, seconds: float) -> bool:
    """Waits for the event, at most so long. True if it was set."""
    if seconds <= 0:
        return event.is_set()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
