"""dispatch.domain: a pace: at most so many in any window of so many seconds, on the boot clock (SHP-4, SHP-6)."""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass
from fractions import Fraction

BURST = 100
"""The most that may go at once, and so the most instants that a pace remembers."""
_CUTS = 16
_RATE = re.compile(r"([0-9]{1,9})/(s|sec|second|min|minute|h|hour|d|day)")
_SECONDS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
}


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in any `seconds`, of them at most `burst` at once (1: evenly spaced).

    Raises ValueError for a rate that lets nothing go: what stands still is suspended, not slow.
    """

    count: int
    seconds: float
    burst: int = BURST

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 < self.seconds < math.inf or not 1 <= self.burst <= BURST:
            raise ValueError(f"not a rate: {self.count} in {self.seconds} s, {self.burst} at once")

    @classmethod
    def parse(cls, text: str) -> Rate:
        """From `100/s`, `10/min`, `1000/h`, `20000/d`. Raises ValueError, which says how to write it."""
        found = _RATE.fullmatch(text)
        if found is None or int(found[1]) == 0:
            raise ValueError(f"{text!r} is no rate: write a whole number from 1, then /s, /min, /h or /d")
        return cls(int(found[1]), float(_SECONDS[found[2]]))

    def cut(self) -> tuple[int, float]:
        """The same promise for a short memory: (n, w), at most n <= `burst` in any w seconds.

        The seconds are cut into equal parts, so any window of `seconds` is covered by that many of w, and n times
        the parts is never above `count`. It is below it by the remainder of the division: of a few cuts the one
        that loses least is taken (under 1 % for counts above `BURST`, nothing for a count up to `burst`).
        """
        fewest = -(-self.count // self.burst)
        parts = min(range(fewest, min(fewest + _CUTS, self.count) + 1), key=lambda n: self.count % n)
        window = self.seconds / parts
        if Fraction(window) * parts < Fraction(self.seconds):
            window = math.nextafter(window, math.inf)
        return self.count // parts, window


class Pace:
    """When the next may go: it remembers the instants of the last `BURST` and lets the n-th after wait its window.

    The promise, exact to the last bit of the floats: no half-open window [t, t + `seconds`) holds more than `count`
    takes. A token bucket would not do: it lets a full bucket and its refill go in one window, nearly twice the count.

    The instants are those of `take`. A server sees them as the network brings them; who must keep a limit as counted
    over there passes somewhat longer seconds.

    Mutable, for it changes with each message: one for each limit of an egress path, held by one relay and touched
    in one step of its loop. It reads no clock.
    """

    __slots__ = ("_at_once", "_rate", "_taken", "_window")

    def __init__(self, rate: Rate) -> None:
        self._taken: deque[float] = deque(maxlen=BURST)
        self.change(rate)

    @property
    def rate(self) -> Rate:
        return self._rate

    def change(self, rate: Rate) -> None:
        """Another rate from the next take on, and what has gone counts for it: after a change to 10 a minute a take
        finds at most 9 in the 60 s before it, whatever the rate was. (Of a rate that is cut, the same for each cut.)
        """
        self._rate = rate
        self._at_once, self._window = rate.cut()

    def ready_at(self, now: float) -> float:
        """The boot time at which the next may go: `now`, or later."""
        if len(self._taken) < self._at_once:
            return now
        return max(now, _later(self._taken[-self._at_once], self._window))

    def take(self, now: float) -> None:
        """One goes now. Raises ValueError, and nothing is changed, before `ready_at`: it would break the promise."""
        if self.ready_at(now) > now:
            raise ValueError("taken before it was ready")
        # Should a clock step back, the later instant is kept: that only makes the next wait longer.
        self._taken.append(max(now, self._taken[-1]) if self._taken else now)

    def presume_spent(self, now: float) -> None:
        """For a path taken over: its last holder may have sent all it could, up to now."""
        self._taken.extend([now] * BURST)


def _later(instant: float, seconds: float) -> float:
    """The sum, never rounded down: a pace that is an ulp too fast has broken its promise."""
    sum_ = instant + seconds
    return math.nextafter(sum_, math.inf) if math.fsum((sum_, -instant, -seconds)) < 0 else sum_
