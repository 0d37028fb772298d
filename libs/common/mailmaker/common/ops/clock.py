"""common.ops.clock: time as a thing passed in."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a room may ask of time."""

    def now(self) -> datetime:
        """The wall clock, UTC, microseconds."""
        ...

    def boot(self) -> float:
        """Seconds since boot, counting suspension: for leases and ages, never shown to people."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def boot(self) -> float:
        # CLOCK_MONOTONIC stands still while a machine sleeps; a lease must not.
        return time.clock_gettime(time.CLOCK_BOOTTIME)
