"""dispatch.domain: when a message is tried again (BNC-2, BNC-3, BNC-11; RFC 5321 section 4.5.4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """First retry, factor, longest pause, and how long a message is worth trying at all."""

    first: timedelta = timedelta(minutes=20)
    factor: float = 2.0
    longest: timedelta = timedelta(hours=4)
    give_up_after: timedelta = timedelta(days=4)
    jitter: float = 0.2
    requeue: timedelta = timedelta(seconds=5)


def next_try(
    plan: RetryPlan,
    attempts: int,
    now: datetime,
    first_try: datetime,
    valid_until: datetime | None,
    chance: float,
) -> datetime | None:
    """When to try again after `attempts` tries that ended in a 4xx; None when its time will have run out.

    `chance` in [0, 1) spreads the retries: jitter goes both ways, so a crowd deferred together comes back spread.
    """
    steps = min(max(attempts - 1, 0), 32)
    pause = min(plan.first.total_seconds() * plan.factor**steps, plan.longest.total_seconds())
    due = now + timedelta(seconds=pause * (1 + plan.jitter * (2 * chance - 1)))
    last = first_try + plan.give_up_after
    if valid_until is not None:
        last = min(last, valid_until)
    return due if due < last else None


def requeue_at(plan: RetryPlan, now: datetime, chance: float) -> datetime:
    """When a message goes again that a server did not even look at (421, silent close): soon, and not counted."""
    return now + plan.requeue * (1 + 3 * chance)
