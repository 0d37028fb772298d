"""unit: a pace: no window of its length ever holds more than its count, judged exactly from what went."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.dispatch.domain.pace import BURST, Pace, Rate

BOOT = 1_000.3
rates = st.builds(
    Rate,
    st.integers(1, 40) | st.integers(1, 100_000),
    st.sampled_from([1.0, 60.0, 3600.0, 86_400.0]) | st.floats(0.01, 1e6),
    st.integers(1, BURST) | st.just(BURST),
)
# How long the sender dawdles before it asks, in windows: most often not at all, so that bursts meet their limit.
dawdling = st.lists(st.just(0.0) | st.floats(0, 1.5), min_size=1, max_size=60)


few = settings(max_examples=50, deadline=None)


def fullest(went: list[float], seconds: float) -> int:
    """The most instants in any half-open window of that length, in exact arithmetic."""
    window: deque[Fraction] = deque()
    most = 0
    for instant in map(Fraction, went):
        window.append(instant)
        while instant - window[0] >= Fraction(seconds):
            window.popleft()
        most = max(most, len(window))
    return most


def run(
    pace: Pace, now: float, pauses: list[float], times: int, ready: Callable[[float], float]
) -> list[float]:
    """Goes `times` times, as soon as it may after each pause (in windows, repeated). Returns the instants."""
    went = []
    _, window = pace.rate.cut()
    for turn in range(times):
        now = ready(now + pauses[turn % len(pauses)] * window)
        pace.take(now)
        went.append(now)
    return went


@few
@given(rates, dawdling, st.floats(0, 1e7))
def test_no_window_ever_holds_more_than_the_count(rate: Rate, pauses: list[float], boot: float) -> None:
    pace = Pace(rate)
    went = run(pace, boot, pauses, 250, pace.ready_at)
    assert fullest(went, rate.seconds) <= rate.count
    at_once, window = rate.cut()
    assert at_once <= rate.burst
    assert fullest(went, window) <= at_once


def test_a_judge_that_cannot_fail_is_no_judge() -> None:
    assert fullest([0.0, 59.9], 60.0) == 2
    assert fullest([0.0, 60.0], 60.0) == 1
    # A token bucket of 10, filled once in 6 s: the usual mistake, nearly twice the limit.
    tokens, at, went = 10.0, BOOT, []
    for _ in range(30):
        if tokens < 1:
            at += 6.0
            tokens += 1
        tokens -= 1
        went.append(at)
    assert fullest(went, 60.0) == 19


def test_ten_a_minute_are_ten_at_once_and_the_next_a_minute_later() -> None:
    pace = Pace(Rate(10, 60.0))
    for second in range(10):
        assert pace.ready_at(100.0 + second) == 100.0 + second
        pace.take(100.0 + second)
    assert pace.ready_at(110.0) == 160.0
    assert pace.ready_at(160.5) == 160.5
    with pytest.raises(ValueError, match="before it was ready"):
        pace.take(math.nextafter(160.0, 0))
    pace.take(160.0)
    assert pace.ready_at(160.0) == 161.0


def test_a_burst_of_one_is_evenly_spaced() -> None:
    pace = Pace(Rate(10, 60.0, burst=1))
    assert run(pace, 100.0, [0.0], 4, pace.ready_at) == [100.0, 106.0, 112.0, 118.0]


def test_many_in_an_hour_go_in_small_bursts_at_their_full_rate() -> None:
    pace = Pace(Rate(1_000, 3600.0))
    assert pace.rate.cut() == (100, 360.0)
    went = run(pace, BOOT, [0.0], 1_001, pace.ready_at)
    assert went[99] == BOOT
    assert went[100] == pytest.approx(BOOT + 360)
    assert went[1_000] == pytest.approx(BOOT + 3600)


def test_what_a_cut_loses_is_less_than_a_hundredth() -> None:
    for count in [*range(1, 2_000), *range(2_000, 200_000, 997)]:
        at_once, window = Rate(count, 3600.0).cut()
        assert at_once <= BURST
        in_an_hour = at_once * 3600 / window
        assert count * 0.99 < in_an_hour <= count * (1 + 1e-12)
        assert count > BURST or (at_once, window) == (count, 3600.0)


@few
@given(rates, dawdling)
def test_nothing_waits_longer_than_its_rate_asks(rate: Rate, pauses: list[float]) -> None:
    pace = Pace(rate)
    at_once, window = rate.cut()
    went = run(pace, BOOT, pauses, 150, pace.ready_at)
    asked = BOOT
    for turn, instant in enumerate(went):
        asked += pauses[turn % len(pauses)] * window
        soonest = asked if turn < at_once else max(asked, went[turn - at_once] + window)
        assert instant == pytest.approx(soonest, rel=1e-12)
        asked = instant


steps = st.lists(st.tuples(rates, dawdling, st.integers(1, 120)), min_size=1, max_size=6)


@few
@given(steps)
def test_a_changed_rate_counts_what_went_before(steps: list[tuple[Rate, list[float], int]]) -> None:
    pace = Pace(steps[0][0])
    went: list[float] = []
    now = BOOT
    for rate, pauses, times in steps:
        pace.change(rate)
        new = run(pace, now, pauses, times, pace.ready_at)
        assert fullest(new, rate.seconds) <= rate.count
        at_once, window = rate.cut()
        went += new
        # Each new take finds room in the window before it, whichever rate that window's takes went by.
        for turn in range(max(len(went) - times, at_once), len(went)):
            assert Fraction(went[turn]) - Fraction(went[turn - at_once]) >= Fraction(window)
        now = went[-1]


def test_a_tightened_rate_holds_across_the_change() -> None:
    pace = Pace(Rate(100, 1.0))
    run(pace, 50.0, [0.0], 60, pace.ready_at)
    pace.change(Rate(10, 60.0))
    assert pace.ready_at(50.0) == 110.0
    pace.change(Rate(100, 1.0))
    assert pace.ready_at(50.0) == 50.0


@few
@given(rates, dawdling, dawdling, st.floats(0, 10))
def test_a_successor_keeps_the_promise_of_the_path(
    rate: Rate, pauses: list[float], others: list[float], gap: float
) -> None:
    first = Pace(rate)
    went = run(first, BOOT, pauses, 150, first.ready_at)
    successor = Pace(rate)
    taken_over = went[-1] + gap
    successor.presume_spent(taken_over)
    went += run(successor, taken_over, others, 150, successor.ready_at)
    assert fullest(went, rate.seconds) <= rate.count


@few
@given(rates, st.lists(st.floats(-2, 2), min_size=1, max_size=60))
def test_a_clock_that_steps_back_lets_no_more_through(rate: Rate, drift: list[float]) -> None:
    pace = Pace(rate)
    _, window = rate.cut()
    now, went = BOOT, []
    for turn in range(200):
        now += drift[turn % len(drift)] * window
        if pace.ready_at(now) <= now:
            pace.take(now)
            went.append(now)
    assert fullest(sorted(went), rate.seconds) <= rate.count


def test_the_memory_is_bounded() -> None:
    pace = Pace(Rate(100_000, 60.0))
    run(pace, BOOT, [0.0], 5_000, pace.ready_at)
    assert len(pace._taken) == BURST


@pytest.mark.parametrize(
    ("count", "seconds", "burst"),
    [
        (0, 60.0, 1),
        (-1, 60.0, 1),
        (1, 0.0, 1),
        (1, math.inf, 1),
        (1, math.nan, 1),
        (1, 60.0, 0),
        (1, 60.0, 101),
    ],
)
def test_a_rate_that_lets_nothing_go_is_none(count: int, seconds: float, burst: int) -> None:
    with pytest.raises(ValueError, match="not a rate"):
        Rate(count, seconds, burst)


class Hasty(Pace):
    """Half as patient as it should be."""

    __slots__ = ()

    def ready_at(self, now: float) -> float:
        return now + (super().ready_at(now) - now) / 2

    def take(self, now: float) -> None:
        self._taken.append(now)


def test_a_pace_that_breaks_its_promise_is_seen() -> None:
    rate = Rate(10, 60.0)
    pace = Hasty(rate)
    assert fullest(run(pace, BOOT, [0.0], 50, pace.ready_at), rate.seconds) > rate.count
