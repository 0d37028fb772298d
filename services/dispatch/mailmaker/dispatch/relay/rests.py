"""dispatch.relay: mailings that are not asked for a while, because asking was in vain."""

from __future__ import annotations

from uuid import UUID

SHORTEST, LONGEST = 0.2, 10.0
"""Seconds after the first claim in vain, and after many: what is due may all be led elsewhere."""


class Rests:
    """Of one supply. Times are of the boot clock."""

    def __init__(self) -> None:
        self._until: dict[UUID, float] = {}
        self._vain: dict[UUID, float] = {}

    def over(self, mailing_id: UUID, now: float) -> bool:
        """Whether the mailing may be asked."""
        return self._until.get(mailing_id, 0.0) <= now

    def rest(self, mailing_id: UUID, now: float, seconds: float) -> None:
        """Not before so many seconds."""
        self._until = {key: until for key, until in self._until.items() if until > now - LONGEST}
        self._vain = {key: pause for key, pause in self._vain.items() if key in self._until}
        self._until[mailing_id] = now + seconds

    def claimed(self, mailing_id: UUID, now: float, count: int, *, even: bool) -> None:
        """After a claim: of nothing, each time twice as long; `even`: not so, for its turns come one by one."""
        if count:
            self._vain.pop(mailing_id, None)
            return
        pause = SHORTEST if even else min(2 * self._vain.get(mailing_id, SHORTEST / 2), LONGEST)
        self.rest(mailing_id, now, pause)
        self._vain[mailing_id] = pause
