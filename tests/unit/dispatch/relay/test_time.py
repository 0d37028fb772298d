"""Leases, the last look and retries: pure arithmetic of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from mailmaker.dispatch.domain.last_look import LEASE_LOST, NO_WATERMARK, NOT_RUNNING, Refusal, look
from mailmaker.dispatch.domain.leases import LEASE_SECONDS, Lease
from mailmaker.dispatch.domain.retry import RetryPlan, next_try, requeue_at

ACCOUNT, MAILING, LIST = uuid4(), uuid4(), uuid4()
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass
class Seen:
    fresh_until: float = 100.0
    running: Mapping[UUID, object] = field(default_factory=lambda: {MAILING: True})
    refusal: Refusal | None = None

    def stopped(
        self, account_id: UUID, list_id: UUID, channel: str, subjects: tuple[bytes, ...]
    ) -> Refusal | None:
        return self.refusal


def asked(boot: float, lease: Lease, seen: Seen) -> Refusal | None:
    return look(boot, lease, seen, ACCOUNT, MAILING, LIST, "email", (b"a",))


def test_a_lease_is_counted_from_before_it_was_asked_for() -> None:
    lease = Lease.asked(1, 50.0)
    assert lease.alive(50.0 + LEASE_SECONDS - 0.5)
    assert not lease.alive(50.0 + LEASE_SECONDS)
    lease.renewed(52.0)
    assert lease.alive(50.0 + LEASE_SECONDS)
    lease.renewed(51.0)
    assert lease.alive(52.0 + LEASE_SECONDS - 0.5)
    lease.lose()
    assert not lease.alive(0.0)


def test_the_last_look_says_no_for_each_reason() -> None:
    lease = Lease.asked(1, 50.0)
    assert asked(51.0, lease, Seen()) is None
    assert asked(60.0, lease, Seen()) is LEASE_LOST
    assert asked(51.0, lease, Seen(fresh_until=51.0)) is NO_WATERMARK
    assert asked(51.0, lease, Seen(running={})) is NOT_RUNNING
    stopped = Refusal("suppressed", "unsubscribe")
    assert asked(51.0, lease, Seen(refusal=stopped)) is stopped


def test_retries_double_up_to_the_longest_pause() -> None:
    plan = RetryPlan()
    pauses = [next_try(plan, n, NOW, NOW, None, 0.5) for n in range(1, 7)]
    assert [(due - NOW).total_seconds() / 60 for due in pauses if due] == [20, 40, 80, 160, 240, 240]


def test_retries_end_with_the_validity_and_with_patience() -> None:
    plan = RetryPlan()
    assert next_try(plan, 1, NOW, NOW, NOW + timedelta(minutes=10), 0.5) is None
    assert next_try(plan, 1, NOW, NOW, NOW + timedelta(hours=10), 0.5) is not None
    assert next_try(plan, 9, NOW, NOW - timedelta(days=4), None, 0.5) is None


@given(attempts=st.integers(0, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_a_retry_is_never_sooner_than_its_jitter_allows(attempts: int, chance: float) -> None:
    due = next_try(RetryPlan(), attempts, NOW, NOW, None, chance)
    assert due is not None
    assert timedelta(minutes=16) <= due - NOW <= timedelta(hours=4, minutes=48)
    assert NOW < requeue_at(RetryPlan(), NOW, chance) <= NOW + timedelta(seconds=20)
