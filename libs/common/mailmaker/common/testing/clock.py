"""common.testing.clock: a clock that moves when told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Wall and boot time, moved together by `pass_time`."""

    def __init__(self, start: datetime = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._boot = 1_000.0

    def now(self) -> datetime:
        return self._now

    def boot(self) -> float:
        return self._boot

    def pass_time(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._boot += seconds
