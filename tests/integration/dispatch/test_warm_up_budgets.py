"""Budgets of a warm-up, drawn by several relays at once on real PostgreSQL, over 45 days and more (SHP-8)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.dispatch.actions.warm_up import draw_block
from mailmaker.dispatch.domain.egress import Source
from mailmaker.dispatch.domain.warmup import HOURS, RAMP, Tally

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
PROVIDERS = ("google", "#07")


def a_source(account_id: UUID) -> Source:
    return Source(
        account_id=account_id,
        id=new_id(),
        pool_id=new_id(),
        name="new",
        driver="direct",
        address="192.0.2.7",
        ehlo="out.demo.test",
        server=None,
        username=None,
        secret=None,
        tls="opportunistic",
        state="active",
        warming=True,
    )


@pytest.fixture
async def db(database_of: Callable[[str], Awaitable[Database]]) -> Database:
    return await database_of("dispatch")


async def drawn_in_a_day(
    db: Database, source: Source, lane: str, day: datetime, chance: Random, wanted: int
) -> Counter[datetime]:
    """Four relays draw at random moments of each hour, some in the same moment, one with a clock a little behind."""
    got: Counter[datetime] = Counter()
    for hour in sorted(chance.sample(range(24), 10)):
        moments = [day + timedelta(hours=hour, seconds=chance.randrange(3500)) for _ in range(4)]
        moments[3] -= timedelta(seconds=chance.choice([0, 2]))
        blocks = await asyncio.gather(
            *(draw_block(db, source, lane, wanted, Tally(), moment) for moment in moments)
        )
        for block, moment in zip(blocks, moments, strict=True):
            if not block.warm:
                got[moment.replace(minute=0, second=0)] += block.messages
    return got


@pytest.mark.parametrize("lane", PROVIDERS)
async def test_no_day_and_no_hour_exceeds_its_budget(db: Database, lane: str) -> None:
    chance, source = Random(45), a_source(new_id())
    reached = []
    for number in range(50):
        day = BEGAN + timedelta(days=number)
        got = await drawn_in_a_day(db, source, lane, day, chance, wanted=10**6)
        total = sum(got.values())
        index = len(reached)
        if index >= len(RAMP):
            assert total == 0, "it is warm: no budget is counted any more"
            continue
        assert total <= RAMP[index]
        assert max(got.values()) <= -(-RAMP[index] // HOURS)
        # All of it is sent and none deferred, as the next draw tells: the next day is another one of the plan.
        await draw_block(db, source, lane, 0, Tally(sent=total), day + timedelta(hours=23, minutes=59))
        reached.append(total)
    assert reached == list(RAMP), "a day whose budget was used up is followed by the next of the plan"


async def test_a_bad_day_steps_back_and_a_dead_relays_block_is_not_sent_by_another(db: Database) -> None:
    source = a_source(new_id())
    day = BEGAN
    for budget in RAMP[:4]:
        for hour in range(9):
            await draw_block(db, source, "google", 10**6, Tally(), day + timedelta(hours=hour))
        await draw_block(db, source, "google", 0, Tally(sent=budget), day + timedelta(hours=10))
        day += timedelta(days=1)
    first = await draw_block(db, source, "google", 10**6, Tally(), day)
    assert first.messages == -(-RAMP[4] // HOURS)
    again = await draw_block(db, source, "google", 10**6, Tally(), day + timedelta(minutes=10))
    assert again.messages == 0, "whoever drew the block may be dead; it counts"
    bad = Tally(sent=first.messages, deferred=first.messages // 2)
    await draw_block(db, source, "google", 0, bad, day + timedelta(minutes=20))
    after = await draw_block(db, source, "google", 10**6, Tally(), day + timedelta(days=1))
    assert after.messages < first.messages


async def test_each_provider_has_a_budget_of_its_own_and_the_long_tail_shares_one(db: Database) -> None:
    source = a_source(new_id())
    got = {
        lane: (await draw_block(db, source, lane, 10**6, Tally(), BEGAN)).messages
        for lane in ("google", "yahoo", "#01", "#02")
    }
    hour = -(-RAMP[0] // HOURS)
    assert got == {"google": hour, "yahoo": hour, "#01": hour, "#02": 0}
