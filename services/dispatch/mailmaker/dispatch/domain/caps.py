"""dispatch.domain: caps as window arithmetic: what counts now, and until when a reservation is good.

A cap row holds the instants reserved in the last KEPT days; every window, calendar or rolling, is counted from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mailmaker.common.contracts.contacts import CapPolicy, ChannelCap

KEPT = timedelta(days=32)
"""Longer than every window: 31 days, an hour of DST, and the slack of rolling windows."""
CLAIM_GOOD_FOR = timedelta(seconds=60)
MARGIN = timedelta(seconds=2)
"""A claim ends this long before its calendar window: the commit of `sending` must fall inside it."""
ROLLING_SLACK = timedelta(seconds=60)
"""Rolling windows are counted this much longer: a reservation may be made up to 60 s before its send begins."""
ROLLING = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
NAMES = ("day", "week", "month")
_FIRST_WEEKDAY = {"monday": 0, "sunday": 6, "saturday": 5}


@dataclass(frozen=True, slots=True)
class Window:
    """Instants later than or equal to `since` count. `ends` is None for a rolling window."""

    name: str
    limit: int
    since: datetime
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class Allowance:
    """One list's cap as it stands at one instant. It is right for claims made in [valid_from, good_until)."""

    windows: tuple[Window, ...]
    valid_from: datetime
    good_until: datetime
    hold_until: datetime | None

    def of(self, name: str) -> Window | None:
        return next((window for window in self.windows if window.name == name), None)


def channel_cap(caps: Mapping[str, Any], channel: str) -> ChannelCap:
    """The cap of one channel from a list's stored policy."""
    policy = CapPolicy.model_validate(dict(caps))
    return policy.sms if channel == "sms" else policy.email


def windows_at(cap: ChannelCap, now: datetime) -> tuple[Window, ...]:
    """The windows of a policy that have a limit, at an instant."""
    limits = {"day": cap.day, "week": cap.week, "month": cap.month}
    found = []
    for name in NAMES:
        limit = limits[name]
        if limit is None:
            continue
        if cap.window == "rolling":
            found.append(Window(name, limit, now - ROLLING[name] - ROLLING_SLACK, None))
        else:
            since, ends = _calendar(cap, name, now)
            found.append(Window(name, limit, since, ends))
    return tuple(found)


def allowance(cap: ChannelCap, now: datetime, valid_until: datetime | None) -> Allowance:
    """What a claim made now may rely on. Until: the earliest of 60 s, calendar windows less 2 s, the validity."""
    windows = windows_at(cap, now)
    calendar = [window for window in windows if window.ends is not None]
    ends = [window.ends - MARGIN for window in calendar if window.ends is not None]
    good_until = min([now + CLAIM_GOOD_FOR, *ends, *([valid_until] if valid_until is not None else [])])
    valid_from = max((window.since for window in calendar), default=now - CLAIM_GOOD_FOR)
    return Allowance(windows, valid_from, good_until, _hold_until(cap, windows, now))


def refusal(cap: ChannelCap, now: datetime, instants: list[datetime]) -> Window | None:
    """The first window that has no room for one more, from the instants reserved so far."""
    for window in windows_at(cap, now):
        if sum(1 for instant in instants if instant >= window.since) >= window.limit:
            return window
    return None


def _hold_until(cap: ChannelCap, windows: tuple[Window, ...], now: datetime) -> datetime | None:
    """When a held message is looked at again: as the shortest limited window turns, or each hour."""
    if cap.on_cap != "hold" or not windows:
        return None
    ends = [window.ends for window in windows if window.ends is not None]
    return min(ends) if ends else now + timedelta(hours=1)


def _calendar(cap: ChannelCap, name: str, now: datetime) -> tuple[datetime, datetime]:
    """The day, week or month around an instant in the policy's time zone, as UTC instants."""
    zone = ZoneInfo(cap.timezone)
    today = now.astimezone(zone).date()
    if name == "day":
        first, after = today, today + timedelta(days=1)
    elif name == "week":
        first = today - timedelta(days=(today.weekday() - _FIRST_WEEKDAY[cap.week_starts_on]) % 7)
        after = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    return _midnight(first.year, first.month, first.day, zone), _midnight(
        after.year, after.month, after.day, zone
    )


def _midnight(year: int, month: int, day: int, zone: ZoneInfo) -> datetime:
    """The first instant of a civil day. Where DST skips or repeats midnight, `fold=0` names the earlier one."""
    return datetime(year, month, day, tzinfo=zone, fold=0).astimezone(UTC)
