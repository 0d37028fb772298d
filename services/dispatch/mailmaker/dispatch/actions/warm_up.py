"""dispatch.actions: a source that warms up sends no more at a provider in a day and an hour than it has earned (SHP-8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.actions.egress_views import WarmUpView
from mailmaker.dispatch.domain.egress import OTHERS, Source, provider_of_lane
from mailmaker.dispatch.domain.warmup import (
    RAMP,
    Tally,
    begin,
    budget,
    counted,
    draw,
    good_until,
    next_day,
    why,
)
from mailmaker.dispatch.errors import UnknownSource
from mailmaker.dispatch.storage import egress, warmups
from mailmaker.dispatch.storage.warmups import Drawn


@dataclass(frozen=True, slots=True)
class Block:
    """So many messages may begin until then. `warm`: no budget holds the source, and the block is only to ask again."""

    messages: int
    until: datetime
    warm: bool


async def draw_block(
    db: Database, source: Source, lane: str, wanted: int, spent: Tally, now: datetime
) -> Block:
    """Takes a part of what the source may still send to a lane's provider. `spent`: what became of the last block.

    What is drawn counts as used, whatever becomes of it: a relay that dies takes its block along.
    """
    provider = provider_of_lane(lane) or OTHERS
    key = source.account_id, source.id, provider
    now = now.astimezone(UTC)
    today, hour = now.date(), now.replace(minute=0, second=0, microsecond=0)
    async with db.platform() as tx:
        drawn = await warmups.locked(tx, key, begin(today), hour)
        state = counted(drawn.state, spent.sent, spent.deferred)
        if state.day < today:
            said_no = await warmups.complained(tx, source.account_id, source.label, state.day, provider)
            state = next_day(RAMP, replace(state, complained=max(said_no, state.complained)), today)
            drawn = replace(drawn, used_day=0)
        if drawn.hour < hour:
            drawn = replace(drawn, used_hour=0, hour=hour)
        most = budget(RAMP, state, today)
        # A clock that is behind the row's hour opens nothing twice: it finds what the row's hour has used.
        granted = draw(most, drawn.used_day, drawn.used_hour, wanted)
        used_day, used_hour = drawn.used_day + granted, drawn.used_hour + granted
        await warmups.save(tx, key, Drawn(state, used_day, used_hour, drawn.hour))
    return Block(granted, good_until(now), most is None)


async def warm_ups(db: Database, account_id: UUID, source_id: UUID, now: datetime) -> list[WarmUpView]:
    """How far a source is, provider by provider. Raises UnknownSource."""
    now = now.astimezone(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    async with db.account(account_id) as tx:
        ways = await egress.of_account(tx, account_id)
        if source_id not in {source.id for source in ways.sources}:
            raise UnknownSource("there is no such source")
        found = await warmups.of_source(tx, account_id, source_id)
    return [_view(provider, drawn, now, hour) for provider, drawn in found]


def _view(provider: str, drawn: Drawn, now: datetime, hour: datetime) -> WarmUpView:
    state = next_day(RAMP, drawn.state, now.date())
    most = budget(RAMP, state, now.date())
    return WarmUpView(
        provider=provider,
        day=state.day_index + 1,
        budget_day=None if most is None else most.day,
        budget_hour=None if most is None else most.hour,
        used_day=drawn.used_day if drawn.state.day == now.date() else 0,
        used_hour=drawn.used_hour if drawn.hour == hour else 0,
        why=why(state),
    )
