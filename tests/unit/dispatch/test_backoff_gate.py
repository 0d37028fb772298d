"""unit: the gate of a source to a site, attacked by a state machine that keeps its own account of what it saw."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from mailmaker.dispatch.domain.backoff import BackoffPlan, Gate

PLAN = BackoffPlan()
BOOT = 5_000.0
NO_JITTER = 0.5
# Seconds after the n-th failure on end, soonest and latest: 1 min doubled up to 30, give or take a fifth.
CURVE = [(48, 72), (96, 144), (192, 288), (384, 576), (768, 1152), (1440, 2160)]
chances = st.floats(0, 1, exclude_max=True)


def bounds(failures: int) -> tuple[int, int]:
    return CURVE[min(failures, len(CURVE)) - 1]


class Attack(RuleBasedStateMachine):
    """A relay that tries whenever it may and also asks when it may not. The model knows only what happened."""

    gate_class: ClassVar[type[Gate]] = Gate

    def __init__(self) -> None:
        super().__init__()
        self.gate = self.gate_class(PLAN)
        self.now = BOOT
        self.closed = True
        self.crowd = 0
        """Tries under way that began while all was well."""
        self.probes = 0
        self.failures = 0
        self.soonest = self.latest = -math.inf
        """Between these instants a probe may begin or not, as chance will have it."""
        self.suspended = -math.inf

    @rule(seconds=st.floats(0, 100) | st.floats(0, 5_000))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(short=st.booleans())
    def it_is_nearly_or_just_time(self, short: bool) -> None:
        opens = self.gate.opens_at
        if opens > self.now:
            self.now = max(self.now, math.nextafter(opens, 0) if short else opens)
            self.ask()

    @rule()
    def ask(self) -> None:
        may = self.gate.may_try(self.now)
        under_way = self.crowd + self.probes
        if self.closed:
            assert may
        elif self.now < self.soonest:
            assert not may, "before its time"
        elif under_way:
            assert not may, "a second one beside a probe, or a probe beside the crowd"
        elif self.now >= self.latest:
            assert may, "never tried again"
        if not may:
            with pytest.raises(ValueError, match="no try may begin"):
                self.gate.began(self.now)
            return
        self.gate.began(self.now)
        if self.closed:
            self.crowd += 1
        else:
            self.probes += 1
        assert self.gate.probing == (not self.closed)

    @precondition(lambda self: self.crowd + self.probes)
    @rule(chance=chances)
    def fails(self, chance: float) -> None:
        self.gate.failed(self.now, chance)
        if self.closed or self.probes:
            self.failures += 1
            least, most = bounds(self.failures)
            self.closed = False
            self.soonest = max(self.suspended, self.now + least - 1e-6)
            self.latest = max(self.suspended, self.now + most + 1e-6)
        self._one_less()

    @precondition(lambda self: self.crowd + self.probes)
    @rule()
    def succeeds(self) -> None:
        self.gate.succeeded(self.now)
        if self.closed or self.probes:
            self.failures = 0
        if self.probes:
            self.closed = self.now >= self.suspended
            self.soonest = self.latest = self.suspended
        self._one_less()

    @precondition(lambda self: self.crowd + self.probes)
    @rule()
    def is_withdrawn(self) -> None:
        self.gate.withdrawn()
        self._one_less()

    @rule(seconds=st.floats(1, 10_000))
    def a_rule_suspends(self, seconds: float) -> None:
        until = self.now + seconds
        self.gate.suspend(until)
        self.closed = False
        self.suspended = max(self.suspended, until)
        self.soonest, self.latest = max(self.soonest, until), max(self.latest, until)

    @invariant()
    def one_probe_at_most(self) -> None:
        assert self.probes <= 1
        assert not (self.probes and self.crowd)

    @invariant()
    def it_tells_where_it_is(self) -> None:
        assert (self.gate.state(self.now) == "closed") == self.closed == (self.gate.opens_at == -math.inf)
        assert self.gate.failures == self.failures
        if not self.closed:
            assert self.soonest <= self.gate.opens_at <= self.latest
            assert (self.gate.state(self.now) == "open") == (self.now < self.gate.opens_at)

    def _one_less(self) -> None:
        if self.probes:
            self.probes -= 1
        else:
            self.crowd -= 1


TestGate = Attack.TestCase
TestGate.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


class TwoProbes(Gate):
    __slots__ = ()

    def may_try(self, now: float) -> bool:
        return now >= self.opens_at


class Eager(Gate):
    __slots__ = ()

    def failed(self, now: float, chance: float) -> None:
        super().failed(now, chance)
        self._until = min(self.opens_at, now + 40)


class Flat(Gate):
    """Never longer than the first pause."""

    __slots__ = ()

    def __init__(self, plan: BackoffPlan) -> None:
        super().__init__(replace(plan, factor=1.0))


class CrowdCounts(Gate):
    """Five connections that fail together are taken for five outages."""

    __slots__ = ()

    def failed(self, now: float, chance: float) -> None:
        self._probing = True
        super().failed(now, chance)


class Forgetful(Gate):
    """A probe under way ends a suspension."""

    __slots__ = ()

    def succeeded(self, now: float) -> None:
        probing = self.probing
        super().succeeded(now)
        if probing:
            self._until = None


class Stuck(Gate):
    """A withdrawn probe is waited for, for ever."""

    __slots__ = ()

    def withdrawn(self) -> None:
        if not self.probing:
            super().withdrawn()


@pytest.mark.parametrize("broken", [TwoProbes, Eager, Flat, CrowdCounts, Forgetful, Stuck])
def test_a_broken_gate_is_found_out(broken: type[Gate]) -> None:
    class Against(Attack):
        gate_class = broken

    hunt = settings(
        max_examples=1000,
        stateful_step_count=40,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Phase.generate],
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Against, settings=hunt)


def test_the_probes_follow_the_curve() -> None:
    gate, now, began = Gate(PLAN), 0.0, []
    for _ in range(9):
        now = max(now, gate.opens_at)
        gate.began(now)
        began.append(now)
        gate.failed(now, NO_JITTER)
    assert began == [0, 60, 180, 420, 900, 1860, 3660, 5460, 7260]


@given(st.integers(0, 10**6), chances)
@settings(deadline=None)
def test_no_pause_is_outside_its_jitter(failures: int, chance: float) -> None:
    least, most = bounds(max(failures, 1))
    assert least <= PLAN.pause(failures, chance) <= most
    assert PLAN.pause(failures, 0.0) == pytest.approx(least)


def test_two_gates_opened_by_one_outage_do_not_come_back_together() -> None:
    one, other = Gate(PLAN), Gate(PLAN)
    for gate, chance in ((one, 0.1), (other, 0.8)):
        gate.began(0.0)
        gate.failed(0.0, chance)
    assert one.opens_at == pytest.approx(60 * 0.84)
    assert other.opens_at == pytest.approx(60 * 1.12)


def test_a_crowd_that_fails_together_is_one_failure() -> None:
    gate = Gate(PLAN)
    for _ in range(5):
        gate.began(0.0)
    for second in range(5):
        gate.failed(float(second), NO_JITTER)
        assert (gate.opens_at, gate.failures) == (60.0, 1)
    assert gate.may_try(60.0)


def test_a_probe_waits_for_the_last_of_the_crowd() -> None:
    gate = Gate(PLAN)
    gate.began(0.0)
    gate.began(0.0)
    gate.failed(1.0, NO_JITTER)
    assert not gate.may_try(100.0)
    gate.succeeded(100.0)
    assert gate.state(100.0) == "half-open", "an old success says nothing of the site after the failure"
    assert gate.may_try(100.0)


def test_after_a_success_the_curve_begins_anew() -> None:
    gate = Gate(PLAN)
    for now, ok in ((0.0, False), (60.0, False), (180.0, True), (200.0, False)):
        gate.began(now)
        if ok:
            gate.succeeded(now)
        else:
            gate.failed(now, NO_JITTER)
    assert gate.opens_at == 260.0


def test_a_suspension_outlasts_a_success_and_the_later_end_stands() -> None:
    gate = Gate(PLAN)
    gate.began(0.0)
    gate.suspend(7_200.0)
    gate.suspend(60.0)
    gate.succeeded(1.0)
    assert gate.opens_at == 7_200.0
    gate.began(7_200.0)
    assert gate.probing
    gate.suspend(9_000.0)
    gate.failed(7_201.0, NO_JITTER)
    assert gate.opens_at == 9_000.0
    assert not gate.may_try(8_999.9)


def test_an_end_without_a_try_is_refused() -> None:
    gate = Gate(PLAN)
    ends: list[Callable[[], None]] = [
        lambda: gate.failed(0.0, 0.5),
        lambda: gate.succeeded(0.0),
        gate.withdrawn,
    ]
    for end in ends:
        with pytest.raises(ValueError, match="no try is under way"):
            end()
    assert gate.may_try(0.0)
