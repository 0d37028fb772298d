"""tests: rates, durations, tallies, and patterns that cannot blow up."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.dispatch.domain.pace import Rate
from mailmaker.dispatch.domain.reactions import CUT, MOST_WORK, Tally, pattern_of, seconds_of


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/s", Rate(100, 1.0)),
        ("10/min", Rate(10, 60.0)),
        ("1/minute", Rate(1, 60.0)),
        ("1000/h", Rate(1000, 3600.0)),
        ("3/hour", Rate(3, 3600.0)),
        ("20000/d", Rate(20000, 86400.0)),
    ],
)
def test_rates_are_read(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text", ["", "10", "0/s", "-1/s", "1/0", "1.5/s", "10/5min", "1 / s", "1/w", "٣/s", "1/s\n"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate"):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45.0), ("30m", 1800.0), ("90 min", 5400.0), ("2h", 7200.0), ("4 h", 14400.0), ("1d", 86400.0)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "0m", "-1h", "1.5h", "1h30m", "1w", "½h", "1h "])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds_of(text)


def test_a_threshold_is_reached_by_so_many_in_its_time() -> None:
    three_an_hour = Rate(3, 3600.0)
    tally, acts = Tally().strike(three_an_hour, 0.0)
    assert not acts
    tally, acts = tally.strike(three_an_hour, 3599.0)
    assert not acts
    # The first has been an hour ago: it no longer counts.
    tally, acts = tally.strike(three_an_hour, 3600.0)
    assert not acts
    tally, acts = tally.strike(three_an_hour, 7198.0)
    assert acts
    assert tally == Tally()


def test_without_a_threshold_it_acts_at_once() -> None:
    assert Tally((1.0,)).strike(None, 2.0) == (Tally(), True)
    assert Tally().strike(Rate(1, 60.0), 2.0) == (Tally(), True)


@given(st.integers(1, 6), st.floats(0.5, 100), st.lists(st.floats(0, 50), max_size=60))
def test_a_tally_acts_when_a_window_is_full_and_never_grows(
    count: int, seconds: float, gaps: list[float]
) -> None:
    threshold, tally, now = Rate(count, seconds), Tally(), 0.0
    since_acted: list[float] = []
    for gap in gaps:
        now += gap
        tally, acts = tally.strike(threshold, now)
        since_acted.append(now)
        assert acts == (sum(1 for at in since_acted if now - at < seconds) >= count)
        assert len(tally.instants) < count
        if acts:
            since_acted = []


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("", "1 to 400"),
        ("x" * 401, "1 to 400"),
        ("(" * 21 + ")" * 21, "20 groups"),
        ("(a+)+", "repeats a group"),
        ("(a|a)*b", "repeats a group"),
        ("(?:a?){30}", "repeats a group"),
        ("((a))+", "repeats a group"),
        ("a*a*b", "fewer of"),
        (".*.*", "fewer of"),
        ("x{,}y{2,}", "fewer of"),
        ("a?" * 12 + "a" * 12, "fewer of"),
        ("(a|b)" * 12, "fewer of"),
        ("a{0,5000}", "fewer of"),
        ("a{1,99}b{1,99}", "fewer of"),
        ("(?=a)b", "only plain groups"),
        ("(?i)a", "only plain groups"),
        ("(?P<x>a)", "only plain groups"),
        (r"(a)\1", "refers to a group"),
        ("[[a]]", "within a set"),
        ("[a--b]", "within a set"),
        (r"\\[TSS04\\]", "doubled backslash"),
        ("a?", "matches an empty reply"),
        ("a|", "matches an empty reply"),
        ("(", "no regular expression"),
        ("a)", "no regular expression"),
        ("[a", "no regular expression"),
        ("*a", "no regular expression"),
        ("a{2}{3}", "no regular expression"),
        ("a{99999999999999999999}", "no regular expression"),
        ("a\\", "no regular expression"),
    ],
)
def test_patterns_that_are_wrong_or_could_last_are_refused(pattern: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        pattern_of(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\[(?:TSS?|IPTS)0[45]\]", "421 [tss04] deferred"),
        (r"from \d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3} ", "mail from 192.0.2.1 is"),
        (r"over .* reputation", "over its poor reputation"),
        (r"a{}b", "xa{}b"),
        (r"[]\]^-]x", "]x"),
        (r"too many (?:open )?connections", "Too Many Connections"),
    ],
)
def test_patterns_that_replies_need_are_read(pattern: str, text: str) -> None:
    assert pattern_of(pattern).search(text)


PIECES = st.sampled_from(
    [*r".^$|*+?()[]\-ab ", "ab", r"\w", "[ab]", "[^b]", "(?:", "{2}", "{1,9}", "{3,}", "{,4}", "{}"]
)


@given(st.lists(PIECES, min_size=1, max_size=14).map("".join))
def test_a_pattern_is_refused_or_quick(pattern: str) -> None:
    try:
        compiled = pattern_of(pattern)
    except ValueError:
        return
    spent = time.process_time()
    for text in ("a" * CUT, "ab" * (CUT // 2), "a" * (CUT - 1) + "!"):
        compiled.search(text)
    # MOST_WORK ways at CUT places: far below a second where it is not exponential, and for ever where it is.
    assert time.process_time() - spent < 10
    assert MOST_WORK * CUT < 10**7
