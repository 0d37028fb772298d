"""dispatch.domain: the rate of a mailing: at most so many messages a minute, whoever sends them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

BEGIN_WITHIN = timedelta(seconds=5)
"""How long after its claim a message of such a mailing may begin: so much closer together may begins be than claims."""
TOGETHER = timedelta(seconds=1)
"""How much time may be saved up, so that claims need not be made one by one."""
_MINUTE = timedelta(minutes=1)
_ROUNDING = timedelta(milliseconds=10)


@dataclass(frozen=True, slots=True)
class Turn:
    """So many messages may be claimed now, with instants from `base` on."""

    messages: int
    base: datetime
    every: timedelta

    def after(self, claimed: int) -> datetime:
        """The instant from which the next may be claimed, when so many have been."""
        return self.base + claimed * self.every


def turn(rate: int, at: datetime | None, now: datetime) -> Turn:
    """How many of a mailing of `rate` messages a minute may be claimed at `now`; `at` is what the last turn left.

    The promise: no 60 seconds have more than `rate` begins. Claims are given instants of their own, evenly spaced, up to
    TOGETHER before now, and begin up to BEGIN_WITHIN after it; so those that may begin in one minute have instants in one
    window of a minute and both, which holds `rate` of them. The mailing is that much slower than its rate: by a tenth.
    """
    every = (_MINUTE + BEGIN_WITHIN + TOGETHER + _ROUNDING) / rate
    base = now - TOGETHER if at is None else max(at, now - TOGETHER)
    return Turn(0 if base > now else (now - base) // every + 1, base, every)
