"""unit: a warm-up's budgets are earned by the day, and 45 days of relays, bursts and deaths never exceed one."""

from __future__ import annotations

import heapq
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.dispatch.domain.warmup import (
    LIMITS,
    RAMP,
    Budget,
    Limits,
    Verdict,
    WarmUp,
    begin,
    budget,
    counted,
    draw,
    good_until,
    next_day,
    why,
)


@dataclass(frozen=True, slots=True)
class Way:
    """A source that a message could leave from. `room` is what is left of its budget; None: it is warm."""

    account_id: UUID
    source_id: UUID
    room: int | None


def way_out(account_id: UUID, ways: Iterable[Way]) -> Way | None:
    """Where a message leaves in this simulation, as claims would have it: by the warming source with most room, else by
    the first warm one; None: it waits. Never by a source of another account (SHP-1)."""
    own = [way for way in ways if way.account_id == account_id]
    warming = [way for way in own if way.room is not None and way.room > 0]
    if warming:
        return max(warming, key=lambda way: way.room or 0)
    return next((way for way in own if way.room is None), None)


DAY = date(2026, 11, 24)
ONE = timedelta(days=1)

# ---------------------------------------------------------------- the plan and its budgets


def test_the_ramp_is_that_of_the_requirement_and_45_days_long() -> None:
    named = "50,100,250,500,1000,2500,5000,7500,10000,15000,20000,30000,40000,55000,70000,100000"
    assert ",".join(map(str, RAMP[:16])) == named
    assert len(RAMP) == 45
    for before, after in pairwise(RAMP[15:]):
        assert before < after <= before * 1.1 + 1e-6


@pytest.mark.parametrize(
    ("index", "day", "hour"), [(0, 50, 7), (3, 500, 63), (4, 1000, 125), (44, 850_000, 106_250)]
)
def test_an_hour_has_an_eighth_of_the_day(index: int, day: int, hour: int) -> None:
    assert budget(RAMP, begin(DAY, index), DAY) == Budget(day, hour)


def test_beyond_the_plan_there_is_no_budget() -> None:
    assert budget(RAMP, begin(DAY, 45), DAY) is None
    assert budget((), begin(DAY), DAY) is None
    assert draw(None, 10**9, 10**9, 7) == 7


def test_a_day_that_is_over_has_nothing_left() -> None:
    state = begin(DAY, 3)
    assert budget(RAMP, state, DAY - ONE) == Budget(0, 0)
    assert budget(RAMP, counted(state, sent=500), DAY + ONE) == Budget(1000, 125), (
        "tomorrow's, before it is stored"
    )


def test_days_are_counted_from_zero() -> None:
    with pytest.raises(ValueError, match="from 0"):
        begin(DAY, -1)


counts = st.integers(-5, 2_000)


@given(
    st.builds(Budget, st.integers(0, 1000), st.integers(0, 1000)),
    counts,
    counts,
    st.lists(counts, max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_draws_never_add_up_to_more_than_a_budget(
    most: Budget, used_day: int, used_hour: int, wanted: list[int]
) -> None:
    day, hour = used_day, used_hour
    for want in wanted:
        got = draw(most, day, hour, want)
        assert 0 <= got <= max(want, 0)
        assert got == max(want, 0) or day + got >= most.day or hour + got >= most.hour, "less than there was"
        day, hour = day + got, hour + got
    assert day <= max(most.day, used_day)
    assert hour <= max(most.hour, used_hour)


def test_a_block_ends_with_its_hour() -> None:
    rome = datetime.fromisoformat("2026-11-24T10:59:30+05:30")
    assert good_until(rome) == datetime(2026, 11, 24, 5, 59, 58, tzinfo=UTC)
    assert good_until(datetime(2026, 11, 24, 23, tzinfo=UTC)) == datetime(
        2026, 11, 24, 23, 59, 58, tzinfo=UTC
    )


# ---------------------------------------------------------------- one day to the next


@pytest.mark.parametrize(
    ("index", "sent", "deferred", "complained", "to", "verdict"),
    [
        (3, 500, 0, 0, 4, "advanced"),
        (3, 375, 37, 0, 4, "advanced"),
        (3, 374, 0, 0, 3, "short"),
        (3, 0, 0, 0, 3, "quiet"),
        (3, 500, 49, 0, 4, "advanced"),
        (3, 500, 50, 0, 3, "deferrals"),
        (3, 500, 149, 0, 3, "deferrals"),
        (3, 500, 150, 0, 2, "back_deferrals"),
        (3, 500, 0, 1, 3, "complaints"),
        (3, 500, 0, 3, 2, "back_complaints"),
        (3, 500, 400, 3, 2, "back_complaints"),
        (0, 50, 0, 2, 0, "complaints"),
        (0, 50, 50, 0, 0, "back_deferrals"),
        (5, 2500, 0, 2, 6, "advanced"),
        (5, 2400, 0, 3, 5, "complaints"),
        (5, 2500, 0, 8, 4, "back_complaints"),
        (6, 5000, 0, 4, 7, "advanced"),
        (6, 5000, 0, 5, 6, "complaints"),
        (20, 150_000, 50_000, 0, 14, "back_deferrals"),
        (44, 850_000, 0, 0, 45, "warm"),
        (45, 5_000_000, 4_000_000, 9_999, 45, "warm"),
    ],
)
def test_a_day_is_judged(
    index: int, sent: int, deferred: int, complained: int, to: int, verdict: Verdict
) -> None:
    state = next_day(RAMP, counted(begin(DAY, index), sent, deferred, complained), DAY + ONE)
    assert (state.day_index, state.verdict, state.day) == (to, verdict, DAY + ONE)
    assert state.sent == state.deferred == state.complained == 0
    assert state.held == (1 if verdict in {"short", "quiet", "deferrals", "complaints"} else 0)


def test_the_limits_are_the_operators() -> None:
    state = counted(begin(DAY, 3), 500, 50, 1)
    assert next_day(RAMP, state, DAY + ONE, Limits(deferrals=0.2, complaints=0.01)).day_index == 4


def test_a_day_is_not_judged_twice_nor_before_it_is_over() -> None:
    state = counted(begin(DAY, 3), 500)
    assert next_day(RAMP, state, DAY) is state
    assert next_day(RAMP, state, DAY - ONE) is state
    tomorrow = next_day(RAMP, state, DAY + ONE)
    assert next_day(RAMP, tomorrow, DAY + ONE) is tomorrow


def test_days_without_mail_do_not_advance_and_thirty_of_them_begin_anew() -> None:
    state = counted(begin(DAY, 10), 20_000)
    for idle in range(1, 31):
        found = next_day(RAMP, state, DAY + (idle) * ONE)
        assert (found.day_index, found.held) == (11, idle - 1)
    assert next_day(RAMP, state, DAY + 30 * ONE).day_index == 11, "the thirtieth is not over yet"
    anew = next_day(RAMP, state, DAY + 31 * ONE)
    assert (anew.day_index, anew.verdict) == (0, "restarted")
    assert next_day(RAMP, counted(anew, 50), DAY + 32 * ONE).day_index == 1


def test_what_was_warm_begins_anew_too() -> None:
    state = counted(begin(DAY, 45), 1)
    assert budget(RAMP, state, DAY + 30 * ONE) is None
    assert budget(RAMP, state, DAY + 31 * ONE) == Budget(50, 7)


def test_a_complaint_on_a_day_without_mail_is_not_forgotten() -> None:
    monday = counted(begin(DAY, 3), 500)
    tuesday = next_day(RAMP, monday, DAY + ONE)
    later = next_day(RAMP, counted(tuesday, complained=9), DAY + 7 * ONE)
    assert (later.day_index, later.complained) == (4, 9)
    assert next_day(RAMP, counted(later, 1000), DAY + 8 * ONE).verdict == "back_complaints"


days = st.lists(
    st.none() | st.tuples(st.integers(0, 100), st.integers(0, 40), st.integers(0, 4)), min_size=1, max_size=80
)


@given(days, st.integers(0, 46), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_it_is_the_same_called_each_day_or_only_when_there_is_mail(
    days: list[tuple[int, int, int] | None], index: int, gap: int
) -> None:
    daily = rarely = begin(DAY, index)
    today = DAY
    for day in days:
        if day is None:
            for _ in range(gap):
                today += ONE
                daily = next_day(RAMP, daily, today)
            continue
        percent, deferred, complained = day
        rarely = next_day(RAMP, rarely, today)
        assert daily == rarely
        most = budget(RAMP, daily, today)
        sent = (most.day if most else 10**6) * percent // 100
        daily = rarely = counted(daily, sent, sent * deferred // 100, complained)
        today += ONE
        daily = next_day(RAMP, daily, today)
    assert daily == next_day(RAMP, rarely, today)


@given(days)
@settings(max_examples=60, deadline=None)
def test_no_day_ever_has_more_than_the_same_day_of_the_fastest_climb(
    days: list[tuple[int, int, int] | None],
) -> None:
    state, worked = begin(DAY), 0
    for number, day in enumerate(days):
        today = DAY + number * ONE
        most = budget(RAMP, state, today)
        state = next_day(RAMP, state, today)
        if day is None:
            continue
        limit = RAMP[worked] if worked < len(RAMP) else math.inf
        assert (most.day if most else math.inf) <= limit
        sent = (most.day if most else 10**6) * day[0] // 100
        state = counted(state, sent, sent * day[1] // 100, day[2])
        worked += sent > 0


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (begin(DAY), "Day 1: the warm-up began on 2026-11-24."),
        (
            next_day(RAMP, counted(begin(DAY, 3), 500, 3, 0), DAY + ONE),
            "Day 5: 500 messages sent, 3 deferred and 0 complaints let it grow.",
        ),
        (
            next_day(RAMP, counted(begin(DAY, 3), 120), DAY + ONE),
            "Day 4, held for 1 day: 120 messages sent are too few of the budget to build on.",
        ),
        (
            next_day(RAMP, counted(begin(DAY, 3), 500), DAY + 4 * ONE),
            "Day 5, held for 3 days: a day without mail does not count.",
        ),
        (
            next_day(RAMP, counted(begin(DAY, 3), 500, 60), DAY + ONE),
            "Day 4, held for 1 day: 60 of 500 messages sent were deferred.",
        ),
        (
            next_day(RAMP, counted(begin(DAY, 3), 500, 0, 2), DAY + ONE),
            "Day 4, held for 1 day: there were 2 complaints for 500 messages sent.",
        ),
        (
            next_day(RAMP, counted(begin(DAY, 3), 500, 200), DAY + ONE),
            "Day 3: it stepped back, for 200 of 500 messages sent were deferred.",
        ),
        (
            next_day(RAMP, counted(begin(DAY, 3), 500, 0, 4), DAY + ONE),
            "Day 3: it stepped back, for there were 4 complaints for 500 messages sent.",
        ),
        (
            next_day(RAMP, counted(begin(DAY, 3), 500), DAY + 40 * ONE),
            "Day 1: it began anew, for nothing was sent since 2026-11-24.",
        ),
        (begin(DAY, 45), "Day 46: the warm-up began on 2026-11-24."),
        (
            next_day(RAMP, begin(DAY, 45), DAY + ONE),
            "Warm: the plan is done and no budget holds this source.",
        ),
    ],
)
def test_it_says_why(state: WarmUp, said: str) -> None:
    assert why(state) == said


# ---------------------------------------------------------------- who sends what does not fit


def test_overflow_goes_to_warm_sources_of_the_account_or_waits() -> None:
    ours, theirs = UUID(int=1), UUID(int=2)
    young, younger, warm = (Way(ours, UUID(int=n), room) for n, room in ((11, 3), (12, 5), (13, None)))
    foreign = [Way(theirs, UUID(int=21), None), Way(theirs, UUID(int=22), 99)]
    assert way_out(ours, [*foreign, young, warm, younger]) is younger
    full = [replace(young, room=0), replace(younger, room=-2)]
    assert way_out(ours, [*foreign, *full, warm]) is warm
    assert way_out(ours, [*foreign, *full]) is None


# ---------------------------------------------------------------- 45 days in a ledger

PROVIDERS = ("google", "microsoft")
# Account 1 has only new sources, 2 has new and warm ones, 3 one new source, 4 a warm one alone.
SOURCES = {10: 1, 11: 1, 12: 1, 20: 2, 21: 2, 22: 2, 23: 2, 30: 3, 40: 4}
WARM = {22, 23, 40}
IDS = {number: UUID(int=number) for number in (*SOURCES, *SOURCES.values())}
# Deferred and complained of, as shares: mostly good days, now and then a bad or an awful one.
MOODS = [(0.01, 0.0), (0.05, 0.0004), (0.2, 0.0005), (0.02, 0.002), (0.6, 0.01)]
Pair = tuple[int, str]


@dataclass
class Line:
    """What was seen leaving, or coming back. The judge reads nothing else."""

    at: datetime
    account: int
    pair: Pair
    sent: int = 0
    deferred: int = 0
    complained: int = 0


@dataclass
class Row:
    """What PostgreSQL holds for a source at a provider."""

    state: WarmUp
    most: Budget | None = None
    used_day: int = 0
    used_hour: int = 0

    def turn(self, now: datetime, limits: Limits) -> None:
        """Another hour has begun, perhaps another day."""
        state = next_day(RAMP, self.state, now.date(), limits)
        if state is not self.state:
            self.state, self.used_day = state, 0
        self.most, self.used_hour = budget(RAMP, state, now.date()), 0


@dataclass
class Block:
    left: int
    until: datetime
    drawn: int


@dataclass
class Rules:
    """What a broken house replaces."""

    draw: Callable[[Budget | None, int, int, int], int] = draw
    good_until: Callable[[datetime], datetime] = good_until
    way_out: Callable[[UUID, list[Way]], Way | None] = way_out
    limits: Limits = LIMITS
    stale_rows: bool = False
    """Rows are read without a lock: what another has drawn a moment ago is not seen."""
    gives_back_the_dead: bool = False
    """A dead relay's block is given back whole, though it had sent of it."""


Relay = dict[Pair, Block]


class House:
    """Relays that draw blocks and send; a world that defers and complains; bursts of mail; deaths."""

    def __init__(self, seed: int, rules: Rules) -> None:
        self.chance = random.Random(seed)
        self.rules = rules
        self.ledger: list[Line] = []
        self.rows = {(n, at): Row(begin(DAY, 45 if n in WARM else 0)) for n in SOURCES for at in PROVIDERS}
        self.relays: list[Relay] = [{}, {}, {}]
        self.waiting = {(account, at): 0 for account in set(SOURCES.values()) for at in PROVIDERS}
        self.arrived = dict(self.waiting)
        self.complaints: list[tuple[datetime, Pair, int]] = []
        self.moods: dict[Pair, tuple[float, float]] = {}

    def run(self, days: int) -> None:
        for number in range(days):
            midnight = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + number * ONE
            self.moods = {pair: self.chance.choices(MOODS, [70, 20, 4, 3, 3])[0] for pair in self.rows}
            self._burst(number)
            for hour in sorted(self.chance.sample(range(24), 11 if number % 9 else 3)):
                begins = midnight + timedelta(hours=hour)
                for row in self.rows.values():
                    row.turn(begins, self.rules.limits)
                for second in sorted([*(self.chance.uniform(0, 3600) for _ in range(2)), 3599.5]):
                    self._moment(begins + timedelta(seconds=second))
                if self.chance.random() < 0.2:
                    self._burst(number)

    def _burst(self, number: int) -> None:
        for key in self.waiting:
            if self.chance.random() < 0.6:
                mail = self.chance.choice([5, RAMP[min(number, 44)] // 3, RAMP[min(number + 4, 44)] * 3])
                self.waiting[key] += mail
                self.arrived[key] += mail

    def _moment(self, now: datetime) -> None:
        while self.complaints and self.complaints[0][0] <= now:
            _, pair, many = heapq.heappop(self.complaints)
            self._seen(now, pair, complained=many)
        self.chance.shuffle(self.relays)
        read = {pair: replace(row) for pair, row in self.rows.items()} if self.rules.stale_rows else self.rows
        for relay in self.relays:
            for account, at in self.waiting:
                self._send(relay, account, at, now, read)
        if self.chance.random() < 0.2:
            self._die(self.chance.randrange(len(self.relays)))

    def _send(self, relay: Relay, account: int, at: str, now: datetime, read: dict[Pair, Row]) -> None:
        wish = int(self.waiting[account, at] * self.chance.choice([0.2, 0.5, 1.0]))
        while wish > 0:
            # Only for sources of its own does a relay draw; that others are warm it knows.
            ways = [
                Way(IDS[owner], IDS[n], None if n in WARM else self._room(relay, (n, at), now, read))
                for n, owner in SOURCES.items()
                if owner == account or n in WARM
            ]
            way = self.rules.way_out(IDS[account], ways)
            if way is None:
                return
            pair = (way.source_id.int, at)
            many = wish if way.room is None else min(wish, way.room)
            if way.room is not None:
                relay[pair].left -= many
            wish -= many
            self.waiting[account, at] -= many
            self._leaves(pair, account, many, now)

    def _room(self, relay: Relay, pair: Pair, now: datetime, read: dict[Pair, Row]) -> int | None:
        """What the relay has in hand, after a new draw if that is nothing."""
        row, seen = self.rows[pair], read[pair]
        if row.most is None:
            return None
        block = relay.get(pair)
        if block is None or not block.left or now >= block.until:
            wanted = self.chance.choice([1 + row.most.hour // 10, 1 + row.most.hour // 3, row.most.day])
            until = self.rules.good_until(now)
            got = self.rules.draw(row.most, seen.used_day, seen.used_hour, wanted) if now < until else 0
            row.used_day, row.used_hour = seen.used_day + got, seen.used_hour + got
            if not got:
                return 0
            block = relay[pair] = Block(got, until, got)
        return block.left

    def _leaves(self, pair: Pair, account: int, many: int, now: datetime) -> None:
        deferral, complaint = self.moods[pair]
        deferred = round(many * deferral * self.chance.uniform(0, 1.2))
        self._seen(now, pair, account, sent=many, deferred=deferred)
        if complaint and (complained := int(many * complaint + self.chance.random())):
            when = now + timedelta(hours=self.chance.choice([1, 5, 30]))
            heapq.heappush(self.complaints, (when, pair, complained))

    def _die(self, which: int) -> None:
        """A relay dies with what it has drawn; another comes that knows nothing."""
        if self.rules.gives_back_the_dead:
            for pair, block in self.relays[which].items():
                row = self.rows[pair]
                row.used_day = max(row.used_day - block.drawn, 0)
                row.used_hour = max(row.used_hour - block.drawn, 0)
        self.relays[which] = {}

    def _seen(
        self,
        now: datetime,
        pair: Pair,
        account: int = 0,
        sent: int = 0,
        deferred: int = 0,
        complained: int = 0,
    ) -> None:
        row = self.rows[pair]
        row.state = counted(row.state, sent, deferred, complained)
        self.ledger.append(Line(now, account or SOURCES[pair[0]], pair, sent, deferred, complained))


class Judge:
    """Reads the ledger alone and knows the ramp by heart: which days and hours had more than they may?"""

    EARNED = (
        "50 100 250 500 1000 2500 5000 7500 10000 15000 20000 30000 40000 55000 70000 100000 110000 120000 130000 "
        "140000 150000 165000 180000 195000 210000 225000 240000 260000 280000 300000 320000 340000 365000 390000 "
        "420000 450000 480000 520000 560000 600000 650000 700000 750000 800000 850000"
    )

    def __init__(self, ledger: list[Line]) -> None:
        self.ramp = [int(word) for word in self.EARNED.split()]
        self.violations: list[str] = []
        self.reached: dict[Pair, list[int]] = {}
        self.full_hours = 0
        by_pair: dict[Pair, list[Line]] = defaultdict(list)
        for line in ledger:
            by_pair[line.pair].append(line)
            if SOURCES[line.pair[0]] != line.account:
                self.violations.append(f"{line.pair} sent for another account at {line.at}")
        for pair, lines in by_pair.items():
            if pair[0] not in WARM:
                self._pair(pair, lines)

    def _pair(self, pair: Pair, lines: list[Line]) -> None:
        level, worked, deferrals, complaints = 0, 0, 0, 0
        levels = self.reached.setdefault(pair, [])
        for day in sorted({line.at.date() for line in lines}):
            today = [line for line in lines if line.at.date() == day]
            sent = sum(line.sent for line in today)
            deferrals += sum(line.deferred for line in today)
            complaints += sum(line.complained for line in today)
            if not sent:
                continue
            # The level that earlier days have earned, and whatever they earned, the fastest climb.
            allowed = self.ramp[min(level, worked)]
            levels.append(level)
            if sent > allowed:
                self.violations.append(f"{pair} {day}: {sent} of {allowed}")
            hours: dict[int, int] = defaultdict(int)
            for line in today:
                hours[line.at.hour] += line.sent
            for hour, many in hours.items():
                self.full_hours += many == -(-allowed // 8)
                if many > -(-allowed // 8):
                    self.violations.append(f"{pair} {day} hour {hour}: {many} of an eighth of {allowed}")
            level = self._next(level, sent, deferrals, complaints)
            worked, deferrals, complaints = worked + 1, 0, 0

    def _next(self, level: int, sent: int, deferrals: int, complaints: int) -> int:
        if (complaints >= 3 and complaints * 1000 >= 3 * sent) or (
            deferrals >= 3 and deferrals * 10 >= 3 * sent
        ):
            lower = [n for n in range(level) if self.ramp[n] * 2 <= self.ramp[level]]
            return lower[-1] if lower else 0
        if complaints * 1000 >= sent or deferrals * 10 >= sent or sent * 4 < 3 * self.ramp[level]:
            return level
        return level + 1


@pytest.mark.parametrize("seed", [1, 2])
def test_45_days_never_exceed_a_budget(seed: int) -> None:
    house = House(seed, Rules())
    house.run(45)
    judge = Judge(house.ledger)
    assert judge.violations == []
    # It was worth watching: levels rose and fell, and hours were full to the last message.
    assert max(map(max, judge.reached.values())) >= 12
    assert any(after < before for levels in judge.reached.values() for before, after in pairwise(levels))
    assert judge.full_hours > 1_000
    sent: dict[tuple[int, str], int] = defaultdict(int)
    for line in house.ledger:
        sent[line.account, line.pair[1]] += line.sent
    for key, arrived in house.arrived.items():
        assert sent[key] + house.waiting[key] == arrived, "mail was lost or doubled"


def test_overflow_leaves_by_the_accounts_own_warm_sources_or_waits() -> None:
    house = House(4, Rules())
    house.run(20)
    assert Judge(house.ledger).violations == []
    used: dict[int, set[int]] = defaultdict(set)
    for line in house.ledger:
        used[line.account].add(line.pair[0])
    assert used[1] == {10, 11, 12}
    assert used[2] >= {20, 21, 22}
    assert (used[3], used[4]) == ({30}, {40})
    # Each relay asked took a share of what there was, so a trickle is left even where nothing had to wait.
    asked = {key: house.waiting[key] / house.arrived[key] for key in house.waiting}
    assert all(left > 0.3 for (account, _), left in asked.items() if account in {1, 3})
    assert all(left < 0.3 for (account, _), left in asked.items() if account in {2, 4})


def no_hours(most: Budget | None, used_day: int, used_hour: int, wanted: int) -> int:
    return wanted if most is None else max(min(wanted, most.day - used_day), 0)


def no_days(most: Budget | None, used_day: int, used_hour: int, wanted: int) -> int:
    return wanted if most is None else max(min(wanted, most.hour - used_hour), 0)


def one_more(most: Budget | None, used_day: int, used_hour: int, wanted: int) -> int:
    if most is None:
        return wanted
    return draw(Budget(most.day + 1, most.hour + 1), used_day, used_hour, wanted)


def for_a_day(now: datetime) -> datetime:
    return now + ONE


def by_anyone(account_id: UUID, ways: list[Way]) -> Way | None:
    return way_out(account_id, ways) or next((way for way in ways if way.room is None), None)


BROKEN = {
    "no hours": Rules(draw=no_hours),
    "no days": Rules(draw=no_days),
    "one more": Rules(draw=one_more),
    "blocks kept": Rules(good_until=for_a_day),
    "stale rows": Rules(stale_rows=True),
    "the dead give back": Rules(gives_back_the_dead=True),
    "any account's source": Rules(way_out=by_anyone),
    "days judged kindly": Rules(limits=Limits(0.0, 2.0, 2.0, 2.0, 2.0)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_judge_sees_a_broken_house(name: str) -> None:
    house = House(1, BROKEN[name])
    house.run(3 if name == "stale rows" else 12)
    assert Judge(house.ledger).violations, "the check cannot fail"
