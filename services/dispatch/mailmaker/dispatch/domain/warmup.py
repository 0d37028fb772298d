"""dispatch.domain: warm-up of a source at a provider: hard budgets by day and hour, earned day by day (SHP-8).

Days and hours are those of UTC. What counts against a budget is an attempt: a message tried twice counts twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal

Plan = tuple[int, ...]
"""The budget of each day of a warm-up. After the last a source is warm."""

RAMP: Plan = (
    *(50, 100, 250, 500, 1_000, 2_500, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 40_000, 55_000, 70_000),
    *(100_000, 110_000, 120_000, 130_000, 140_000, 150_000, 165_000, 180_000, 195_000, 210_000),
    *(225_000, 240_000, 260_000, 280_000, 300_000, 320_000, 340_000, 365_000, 390_000, 420_000),
    *(450_000, 480_000, 520_000, 560_000, 600_000, 650_000, 700_000, 750_000, 800_000, 850_000),
)
"""45 days: the ramp of SHP-8, then steps of at most a tenth."""
HOURS = 8
"""An hour's budget is the day's divided by this, rounded up: the day's mail is spread over eight hours at least."""
MARGIN = timedelta(seconds=2)
"""A block ends this long before its hour: the message must reach the server inside it."""

Verdict = Literal[
    "began", "advanced", "quiet", "short", "deferrals", "complaints", "back_deferrals", "back_complaints",
    "restarted", "warm",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What a day must have been like. Shares are of the messages sent that day.

    `near`: the share of its budget that a day must have sent to be built upon: what six full hours send. Below
    `deferrals` and `complaints` it advances; from there on it holds; from `worst_*` on, by `enough` messages at least
    (one complaint among fifty is no trend), it steps back. After `idle_days` days on end without mail all begins anew.
    """

    near: float = 0.75
    deferrals: float = 0.10
    complaints: float = 0.001
    worst_deferrals: float = 0.30
    worst_complaints: float = 0.003
    enough: int = 3
    idle_days: int = 30


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Tally:
    """What a day was: attempts, those of them answered 4xx, complaints that came."""

    sent: int = 0
    deferred: int = 0
    complained: int = 0


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How far a source is at a provider. `day_index` counts from 0; `sent`, `deferred`, `complained` are of `day`.

    `active` is the last day before `day` that sent (at first, the day it began); `held` for how many days the index
    has stood; `verdict` what put it where it is, and `before` the day that was judged.
    """

    day_index: int
    day: date
    active: date
    sent: int = 0
    deferred: int = 0
    complained: int = 0
    held: int = 0
    verdict: Verdict = "began"
    before: Tally = Tally()

    def __post_init__(self) -> None:
        if self.day_index < 0:
            raise ValueError("days of a plan are counted from 0")


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be sent in a day, and in each hour of it."""

    day: int
    hour: int


def begin(today: date, day_index: int = 0) -> WarmUp:
    """A warm-up that begins today."""
    return WarmUp(day_index, today, today)


def counted(state: WarmUp, sent: int = 0, deferred: int = 0, complained: int = 0) -> WarmUp:
    """More of the state's day. A complaint counts on the day it comes; on a day without mail, with the next mail."""
    return replace(
        state,
        sent=state.sent + sent,
        deferred=state.deferred + deferred,
        complained=state.complained + complained,
    )


def budget(plan: Plan, state: WarmUp, today: date, limits: Limits = LIMITS) -> Budget | None:
    """What may be sent today in all; None is no limit: the source is warm.

    A day that is already over has nothing left, so a clock that steps back opens no budget twice.
    """
    now = next_day(plan, state, today, limits)
    if now.day_index >= len(plan):
        return None
    if today < now.day:
        return Budget(0, 0)
    day = max(plan[now.day_index], 0)
    return Budget(day, -(-day // HOURS))


def draw(budget: Budget | None, used_day: int, used_hour: int, wanted: int) -> int:
    """How many of `wanted` a relay gets, after so many were drawn this day and hour: what is sent is never above it.

    To be called under the lock of the counters' row. What is drawn is used at once, whether or not it is sent: a
    relay that dies takes its block along, and no other sends it once more. See `good_until`.
    """
    if budget is None:
        return max(wanted, 0)
    return max(min(wanted, budget.day - used_day, budget.hour - used_hour), 0)


def good_until(now: datetime) -> datetime:
    """Until when a block drawn now may be spent: the end of its UTC hour less a margin. What is left then is void."""
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour + timedelta(hours=1) - MARGIN


def next_day(plan: Plan, state: WarmUp, today: date, limits: Limits = LIMITS) -> WarmUp:
    """The state on a day, the last one judged. Called late or each day, it comes to the same; twice, too.

    A warm source is judged no more (reactive rules and breakers watch it), but one that sends nothing for
    `idle_days` begins anew like any other.
    """
    if today <= state.day:
        return state
    active = state.day if state.sent else state.active
    if (today - active).days > limits.idle_days:
        return WarmUp(0, today, active, verdict="restarted")
    if state.day_index >= len(plan):
        return WarmUp(state.day_index, today, active, verdict="warm")
    state = _judged(plan, state, active, limits)
    quiet = (today - state.day).days
    if quiet and state.verdict == "warm":
        return replace(state, day=today, before=Tally())
    # The days between had no mail, for they were never opened.
    return _held(state, active, "quiet", quiet) if quiet else state


def why(state: WarmUp) -> str:
    """For the operator: where it stands and for which reason, in one sentence."""
    seen = state.before
    deferred = f"{seen.deferred} of {seen.sent} messages sent were deferred"
    complained = f"there were {seen.complained} complaints for {seen.sent} messages sent"
    said: dict[Verdict, str] = {
        "began": f"the warm-up began on {state.active}",
        "advanced": f"{seen.sent} messages sent, {seen.deferred} deferred and {seen.complained} complaints let it grow",
        "quiet": "a day without mail does not count",
        "short": f"{seen.sent} messages sent are too few of the budget to build on",
        "deferrals": deferred,
        "complaints": complained,
        "back_deferrals": f"it stepped back, for {deferred}",
        "back_complaints": f"it stepped back, for {complained}",
        "restarted": f"it began anew, for nothing was sent since {state.active}",
        "warm": "the plan is done and no budget holds this source",
    }
    if state.verdict == "warm":
        return f"Warm: {said['warm']}."
    held = f", held for {state.held} day{'s' if state.held > 1 else ''}" if state.held else ""
    return f"Day {state.day_index + 1}{held}: {said[state.verdict]}."


def _judged(plan: Plan, state: WarmUp, active: date, limits: Limits) -> WarmUp:
    """The state on the day after its own. The worse is looked for first."""
    sent, deferred, complained = state.sent, state.deferred, state.complained
    today = state.day_index
    if not sent:
        return _held(state, active, "quiet", 1)
    # Shares by division: 3 / 3000 is the very float that 0.001 is, and 0.001 * 3000 need not be 3.
    if complained >= limits.enough and complained / sent >= limits.worst_complaints:
        return _moved(state, active, _halved(plan, today), "back_complaints")
    if deferred >= limits.enough and deferred / sent >= limits.worst_deferrals:
        return _moved(state, active, _halved(plan, today), "back_deferrals")
    if complained / sent >= limits.complaints:
        return _held(state, active, "complaints", 1)
    if deferred / sent >= limits.deferrals:
        return _held(state, active, "deferrals", 1)
    if sent < limits.near * plan[today]:
        return _held(state, active, "short", 1)
    return _moved(state, active, today + 1, "advanced" if today + 1 < len(plan) else "warm")


def _held(state: WarmUp, active: date, verdict: Verdict, days: int) -> WarmUp:
    """Some days later on the same index. What came on a day without mail is kept for the next one that has some."""
    kept = Tally() if state.sent else _tally(state)
    day, held = state.day + timedelta(days=days), state.held + days
    return WarmUp(
        state.day_index, day, active, 0, kept.deferred, kept.complained, held, verdict, _tally(state)
    )


def _moved(state: WarmUp, active: date, index: int, verdict: Verdict) -> WarmUp:
    return WarmUp(index, state.day + timedelta(days=1), active, verdict=verdict, before=_tally(state))


def _halved(plan: Plan, index: int) -> int:
    """Back to the last earlier day of at most half the budget: one step of a tenth would not be felt."""
    return next((i for i in range(index - 1, -1, -1) if plan[i] * 2 <= plan[index]), 0)


def _tally(state: WarmUp) -> Tally:
    return Tally(state.sent, state.deferred, state.complained)
