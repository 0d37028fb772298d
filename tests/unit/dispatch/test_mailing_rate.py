"""rate: whoever claims, and whenever a claimed message begins within its time, no minute has more than the rate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.dispatch.domain.rates import BEGIN_WITHIN, turn

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEPS = st.lists(
    st.tuples(st.floats(0.01, 90), st.integers(0, 500), st.floats(0, 1)), min_size=5, max_size=60
)


def most_in_a_minute(begins: list[datetime]) -> int:
    begins.sort()
    most, first = 0, 0
    for last, at in enumerate(begins):
        while at - begins[first] >= timedelta(minutes=1):
            first += 1
        most = max(most, last - first + 1)
    return most


@given(st.integers(1, 5000), STEPS)
def test_no_minute_has_more_than_the_rate(rate: int, steps: list[tuple[float, int, float]]) -> None:
    now, at, begins = NOON, None, []
    for pause, wanted, late in steps:
        now += timedelta(seconds=pause)
        allowed = turn(rate, at, now)
        taken = min(wanted, max(0, allowed.messages))
        if allowed.messages > 0:
            at = allowed.after(taken)
        begins += [now + late * BEGIN_WITHIN] * taken
    assert most_in_a_minute(begins) <= rate


@pytest.mark.parametrize("rate", [1, 2, 30, 60, 600, 60_000])
def test_a_mailing_is_a_tenth_slower_than_its_rate_and_no_more(rate: int) -> None:
    now, at, sent = NOON, None, 0
    while now < NOON + timedelta(minutes=20):
        allowed = turn(rate, at, now)
        if allowed.messages > 0:
            at, sent = allowed.after(allowed.messages), sent + allowed.messages
        now += timedelta(seconds=0.2)
    assert 0.9 * 20 * rate - 1 <= sent <= 20 * rate


def test_what_was_allowed_and_not_there_to_be_claimed_is_not_saved_up() -> None:
    first = turn(600, None, NOON)
    at = first.after(0)
    later = turn(600, at, NOON + timedelta(hours=1))
    assert later.messages <= 600 / 60 + 1
