"""Caps: calendar and rolling windows are arithmetic on instants; a claim is good until the earliest of three ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.common.contracts.contacts import ChannelCap
from mailmaker.dispatch.domain.caps import KEPT, allowance, channel_cap, refusal, windows_at

ROME = ZoneInfo("Europe/Rome")


def at(*parts: int, zone: ZoneInfo = ROME) -> datetime:
    return datetime(*parts, tzinfo=zone).astimezone(UTC)  # type: ignore[misc,arg-type]


def test_no_limit_is_no_window_and_zero_is_none_at_all() -> None:
    now = at(2026, 11, 24, 12)
    assert windows_at(ChannelCap(), now) == ()
    assert refusal(ChannelCap(), now, [now] * 99) is None
    closed = refusal(ChannelCap(day=0), now, [])
    assert closed is not None
    assert (closed.name, closed.limit) == ("day", 0)


def test_a_calendar_day_begins_at_midnight_in_the_policy_s_zone() -> None:
    cap = ChannelCap(day=1)
    sent = at(2026, 11, 24, 23, 59)
    assert refusal(cap, at(2026, 11, 24, 23, 59, 59), [sent]) is not None
    assert refusal(cap, at(2026, 11, 25, 0, 0), [sent]) is None


def test_a_week_begins_on_the_day_the_policy_says() -> None:
    sunday = at(2026, 11, 29, 12)
    for first, since in (
        ("monday", at(2026, 11, 23)),
        ("sunday", at(2026, 11, 29)),
        ("saturday", at(2026, 11, 28)),
    ):
        (window,) = windows_at(ChannelCap(week=1, week_starts_on=first), sunday)  # type: ignore[arg-type]
        assert window.since == since
        assert window.ends == window.since + timedelta(days=7)


def test_a_month_ends_with_its_last_day() -> None:
    (window,) = windows_at(ChannelCap(month=1), at(2026, 2, 28, 23))
    assert (window.since, window.ends) == (at(2026, 2, 1), at(2026, 3, 1))
    (window,) = windows_at(ChannelCap(month=1), at(2026, 12, 31, 23))
    assert window.ends == at(2027, 1, 1)


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 11, 24), 24)])
def test_a_day_of_daylight_saving_is_shorter_or_longer(day: tuple[int, int, int], hours: int) -> None:
    (window,) = windows_at(ChannelCap(day=1), at(*day, 12))
    assert window.ends is not None
    assert window.ends - window.since == timedelta(hours=hours)


def test_midnight_that_does_not_exist_is_the_first_instant_after_it() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    (window,) = windows_at(ChannelCap(day=1, timezone="America/Sao_Paulo"), at(2018, 11, 4, 12, zone=zone))
    assert window.ends is not None
    assert window.ends - window.since == timedelta(hours=23)


def test_a_rolling_window_is_counted_a_minute_longer() -> None:
    cap = ChannelCap(day=1, window="rolling")
    now = at(2026, 11, 24, 12)
    assert refusal(cap, now, [now - timedelta(hours=24, seconds=59)]) is not None
    assert refusal(cap, now, [now - timedelta(hours=24, seconds=61)]) is None


def test_a_claim_is_good_until_the_earliest_of_three_ends() -> None:
    noon = at(2026, 11, 24, 12)
    assert allowance(ChannelCap(day=1), noon, None).good_until == noon + timedelta(seconds=60)
    soon = noon + timedelta(seconds=7)
    assert allowance(ChannelCap(day=1), noon, soon).good_until == soon
    late = at(2026, 11, 24, 23, 59, 30)
    assert allowance(ChannelCap(day=1), late, None).good_until == at(2026, 11, 24, 23, 59, 58)
    assert allowance(ChannelCap(day=1, window="rolling"), late, None).good_until == late + timedelta(
        seconds=60
    )
    # In the last two seconds of a window nothing may be claimed at all.
    assert allowance(ChannelCap(day=1), at(2026, 11, 24, 23, 59, 59), None).good_until < at(
        2026, 11, 24, 23, 59, 59
    )


def test_a_held_message_waits_for_the_window_to_turn() -> None:
    noon = at(2026, 11, 24, 12)
    assert allowance(ChannelCap(day=1), noon, None).hold_until is None
    assert allowance(ChannelCap(day=1, on_cap="hold"), noon, None).hold_until == at(2026, 11, 25)


def test_a_stored_policy_is_read_by_channel() -> None:
    stored = {"email": {"day": 2}, "sms": {"week": 1}}
    assert channel_cap(stored, "email").day == 2
    assert channel_cap(stored, "sms").week == 1
    assert channel_cap({}, "email") == ChannelCap()


_ZONES = st.sampled_from(
    ["Europe/Rome", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "UTC", "Africa/Casablanca"]
)
_NOW = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)).map(lambda d: d.replace(tzinfo=UTC))
_LIMIT = st.one_of(st.none(), st.integers(0, 3))


@settings(max_examples=200, deadline=None)
@given(
    day=_LIMIT,
    week=_LIMIT,
    month=_LIMIT,
    kind=st.sampled_from(["calendar", "rolling"]),
    zone=_ZONES,
    now=_NOW,
    weekday=st.sampled_from(["monday", "sunday", "saturday"]),
)
def test_windows_hold_now_and_are_kept_long_enough(
    day: int | None, week: int | None, month: int | None, kind: str, zone: str, now: datetime, weekday: str
) -> None:
    cap = ChannelCap.model_validate(
        {
            "day": day,
            "week": week,
            "month": month,
            "window": kind,
            "timezone": zone,
            "week_starts_on": weekday,
        }
    )
    for window in windows_at(cap, now):
        assert window.since <= now
        assert now - window.since < KEPT
        assert window.ends is None or now < window.ends
    allowed = allowance(cap, now, None)
    assert allowed.valid_from <= now
    assert allowed.good_until <= now + timedelta(seconds=60)


@settings(max_examples=100, deadline=None)
@given(
    day=_LIMIT,
    week=_LIMIT,
    kind=st.sampled_from(["calendar", "rolling"]),
    zone=_ZONES,
    start=_NOW,
    steps=st.lists(st.integers(1, 40_000), min_size=1, max_size=60),
)
def test_a_cap_is_never_exceeded_in_any_window(
    day: int | None, week: int | None, kind: str, zone: str, start: datetime, steps: list[int]
) -> None:
    cap = ChannelCap.model_validate({"day": day, "week": week, "window": kind, "timezone": zone})
    sent: list[datetime] = []
    now = start
    for step in steps:
        now += timedelta(seconds=step)
        if refusal(cap, now, sent) is None:
            sent.append(now)
    for instant in sent:
        for window in windows_at(cap, instant):
            since = window.since if kind == "calendar" else window.since + timedelta(seconds=60)
            assert sum(1 for other in sent if since <= other <= instant) <= window.limit
