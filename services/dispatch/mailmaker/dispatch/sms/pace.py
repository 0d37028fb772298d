"""dispatch.sms: how fast to submit: at most the contract's rate; halved when the SMSC says so, and slowly back (SMS-2)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

SLOWEST = 0.02
"""Of the limit: slower than this a submit proves nothing about the SMSC."""
PAUSE = 0.5
LONGEST = 30.0


class Pace:
    """One for each limit that the provider counts: of a bind, or of several that share an account.

    `limit`: submits a second. `recovery`: the share of it regained each second after a halving.
    """

    def __init__(
        self,
        limit: float,
        clock: Callable[[], float],
        *,
        recovery: float = 0.02,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._recovery = recovery
        self._chance = chance
        self._rate = limit
        self._since = clock()
        self._halved = float("-inf")
        self._next = float("-inf")

    @property
    def rate(self) -> float:
        """Submits a second, now."""
        back = self._recovery * self._limit * (self._clock() - self._since)
        return min(self._limit, self._rate + back)

    def place(self) -> float:
        """Takes the next place in time; how many seconds there are to it. Nothing is saved up: no burst after a lull."""
        now = self._clock()
        at = max(now, self._next)
        self._next = at + 1 / self.rate
        return at - now

    async def turn(self) -> None:
        """Waits for one's place."""
        wait = self.place()
        if wait > 0:
            await asyncio.sleep(wait)

    def slower(self) -> float:
        """The SMSC throttled: halves the rate, once for all that were on their way, and says after how many seconds that
        message may go again: longer the slower we are, with jitter."""
        now, rate = self._clock(), self.rate
        if now - self._halved >= 1.0:
            rate = max(rate / 2, self._limit * SLOWEST)
            self._halved = now
        self._rate, self._since = rate, now
        return min(LONGEST, PAUSE * self._limit / rate) * (0.5 + self._chance() / 2)
