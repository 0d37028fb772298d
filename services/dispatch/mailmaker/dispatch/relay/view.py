"""dispatch.relay: what this process has seen of "no"s, mailings and the watermark: asked by the last look, without await."""

from __future__ import annotations

from collections import deque
from uuid import UUID

from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.actions.watch import Glance, glance, start
from mailmaker.dispatch.domain.directives import WHOLE_ACCOUNT
from mailmaker.dispatch.domain.last_look import STALE_AFTER, Refusal
from mailmaker.dispatch.domain.running import RunningMailing

REMEMBER = 180.0
"""Seconds: longer than any claim lives. Older "no"s are known to the claim itself."""
CONTACTS_LAG = 2.0
"""contacts' directives become visible nearly in the order of their numbers: they are read this far behind."""

Key = tuple[UUID, bytes]


class RelayView:
    """Polled while sending. Forgets what every later claim sees for itself."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self.number = 0
        self.fresh_until = float("-inf")
        self.running: dict[UUID, RunningMailing] = {}
        self._stops: dict[Key, list[tuple[UUID, str, Refusal]]] = {}
        self._order: deque[tuple[float, Key]] = deque()
        self._feed = 0
        self._contacts: deque[tuple[float, int]] = deque()

    async def start(self) -> None:
        """Takes its place at the head of both sources: whatever is older, a claim made from now on sees."""
        self._feed, contacts = await start(self._db)
        self._contacts = deque([(self._clock.boot(), contacts)])
        await self.poll()

    async def poll(self) -> None:
        """One look at the database. Raises StorageUnavailable; then the view only gets older."""
        more = True
        while more:
            asked = self._clock.boot()
            seen = await glance(self._db, self._feed, self._contacts[0][1])
            self._take(asked, seen)
            more = seen.more

    def _take(self, asked: float, seen: Glance) -> None:
        contacts = self._contacts[-1][1]
        for row in seen.directives:
            if row["source"] == "feed":
                self._feed = max(self._feed, row["number"])
                state = "suppressed"
            else:
                contacts = max(contacts, row["number"])
                state = "cancelled"
            key = row["account_id"], bytes(row["subject"])
            if row["released"]:
                self._stops.pop(key, None)
            else:
                stop = row["list_id"], row["channel"], Refusal(state, row["reason"])
                known = self._stops.setdefault(key, [])
                if stop not in known:
                    known.append(stop)
                    self._order.append((asked, key))
        self._contacts.append((asked, contacts))
        while len(self._contacts) > 1 and self._contacts[1][0] < asked - CONTACTS_LAG:
            self._contacts.popleft()
        while self._order and self._order[0][0] < asked - REMEMBER:
            self._stops.pop(self._order.popleft()[1], None)
        self.running = {mailing.id: mailing for mailing in seen.running}
        if not seen.more:
            self.number = seen.number
            self.fresh_until = asked + STALE_AFTER - seen.age

    def stopped(
        self, account_id: UUID, list_id: UUID, channel: str, subjects: tuple[bytes, ...]
    ) -> Refusal | None:
        """A "no" seen here that is about one of the subjects, in the list's or the account's scope."""
        for subject in subjects:
            stops = self._stops.get((account_id, subject))
            if stops is None:
                continue
            for scope, of_channel, refusal in stops:
                if of_channel == channel and scope in (list_id, WHOLE_ACCOUNT):
                    return refusal
        return None
