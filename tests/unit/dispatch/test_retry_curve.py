"""unit: the attempts of a message that is deferred again and again, in virtual time, against tables written by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.dispatch.domain.retry import RetryPlan, next_try

FIRST = datetime(2026, 11, 24, 12, tzinfo=UTC)
NO_JITTER = 0.5
LATEST = 1 - 2**-53

# 20 min, then twice as long each time up to 4 h, for four days: BNC-11 as RetryPlan has it.
ATTEMPTS = """
    24 12:00   24 12:20   24 13:00   24 14:20   24 17:00   24 21:00
    25 01:00   25 05:00   25 09:00   25 13:00   25 17:00   25 21:00
    26 01:00   26 05:00   26 09:00   26 13:00   26 17:00   26 21:00
    27 01:00   27 05:00   27 09:00   27 13:00   27 17:00   27 21:00
    28 01:00   28 05:00   28 09:00
"""
# The pause after each attempt in minutes: the soonest and the latest that a jitter of a fifth allows.
BOUNDS = [(16, 24), (32, 48), (64, 96), (128, 192), (192, 288)]

HASTY = RetryPlan(
    first=timedelta(minutes=10),
    factor=3,
    longest=timedelta(hours=1),
    give_up_after=timedelta(hours=5),
    jitter=0.1,
)
HASTY_ATTEMPTS = "24 12:00   24 12:10   24 12:40   24 13:40   24 14:40   24 15:40   24 16:40"
HASTY_BOUNDS = [(9, 11), (27, 33), (54, 66)]


def table(text: str) -> list[datetime]:
    words = text.split()
    days, times = words[::2], words[1::2]
    return [
        datetime(2026, 11, int(day), int(time[:2]), int(time[3:]), tzinfo=UTC)
        for day, time in zip(days, times, strict=True)
    ]


def attempts(plan: RetryPlan, chances: list[float], valid_until: datetime | None = None) -> list[datetime]:
    """The instants at which a message is tried that gets a 4xx each time at once. The last chance is repeated."""
    tried = [FIRST]
    while len(tried) < 1000:
        chance = chances[min(len(tried), len(chances)) - 1]
        due = next_try(plan, len(tried), tried[-1], FIRST, valid_until, chance)
        if due is None:
            return tried
        tried.append(due)
    raise AssertionError("it is tried for ever")


def pauses(tried: list[datetime]) -> list[float]:
    return [(after - before).total_seconds() / 60 for before, after in pairwise(tried)]


def test_the_attempts_are_those_of_the_table() -> None:
    assert attempts(RetryPlan(), [NO_JITTER]) == table(ATTEMPTS)


def test_another_plan_has_another_table() -> None:
    assert attempts(HASTY, [NO_JITTER]) == table(HASTY_ATTEMPTS)


@pytest.mark.parametrize(
    "wrong",
    [
        RetryPlan(first=timedelta(minutes=21)),
        RetryPlan(factor=1.9),
        RetryPlan(longest=timedelta(hours=3)),
        RetryPlan(give_up_after=timedelta(days=5)),
    ],
)
def test_the_table_tells_each_figure_of_the_plan(wrong: RetryPlan) -> None:
    assert attempts(wrong, [NO_JITTER]) != table(ATTEMPTS)


@pytest.mark.parametrize(
    ("valid_until", "tries"),
    [("24 12:19", 1), ("24 12:20", 1), ("24 12:21", 2), ("24 18:00", 5), ("26 00:00", 12), ("30 00:00", 27)],
)
def test_nothing_is_tried_at_or_after_the_end_of_its_validity(valid_until: str, tries: int) -> None:
    assert attempts(RetryPlan(), [NO_JITTER], table(valid_until)[0]) == table(ATTEMPTS)[:tries]


@pytest.mark.parametrize(("chance", "end"), [(0.0, 0), (LATEST, 1)])
def test_the_jitter_reaches_its_bounds(chance: float, end: int) -> None:
    found = pauses(attempts(RetryPlan(), [chance]))
    assert found[:5] == pytest.approx([bound[end] for bound in BOUNDS], abs=1e-6)
    assert found[5:] == pytest.approx([BOUNDS[-1][end]] * len(found[5:]), abs=1e-6)


chances = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=40)


@settings(max_examples=50, deadline=None)
@given(chances)
def test_every_pause_is_within_its_bounds_whatever_the_chances(drawn: list[float]) -> None:
    for plan, bounds, days in ((RetryPlan(), BOUNDS, 4.0), (HASTY, HASTY_BOUNDS, 5 / 24)):
        tried = attempts(plan, drawn)
        for number, pause in enumerate(pauses(tried)):
            soonest, latest = bounds[min(number, len(bounds) - 1)]
            assert soonest - 1e-6 <= pause <= latest + 1e-6
        over = FIRST + timedelta(days=days)
        assert tried[-1] < over
        # And it is not given up sooner than it must be: the next attempt could have come too late.
        latest = bounds[min(len(tried) - 1, len(bounds) - 1)][1]
        assert tried[-1] + timedelta(minutes=latest) >= over - timedelta(microseconds=1)
