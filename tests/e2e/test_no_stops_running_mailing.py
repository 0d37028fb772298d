"""A "no" said at any door stops the mail of a mailing that is already running, though processes of dispatch are killed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from e2e_rig import CONNECTIONS, NOES, RECIPIENTS, Rig, sample
from mailmaker.common.demo.doors import DOORS, spread
from mailmaker.common.testing.checker import Told

KILLS = 2
WITHIN = 1.0 if RECIPIENTS >= 100_000 else 5.0
"""Seconds from recorded to enforced, p99. A kill weighs more in a smaller run, and its machine may be a busy one."""


def slowest(told: Sequence[Told], killed: Sequence[datetime]) -> str:
    """The slowest ten, each with its door and how long after the last kill it was recorded."""
    timed = [
        ((one.enforced_at - one.recorded_at).total_seconds(), one.door, one.recorded_at)
        for one in told
        if one.enforced_at is not None and one.recorded_at is not None
    ]
    return ", ".join(
        f"{seconds:.2f} s {door}"
        + "".join(
            f" (+{(at - kill).total_seconds():.1f} s)"
            for kill in killed
            if 0 <= (at - kill).total_seconds() < 30
        )
        for seconds, door, at in sorted(timed, reverse=True)[:10]
    )


@pytest.mark.timeout(3600)
async def test_no_send_begins_after_enforced(rig: Rig) -> None:
    list_id, imported = await rig.list_of("running", sample(RECIPIENTS, 11, rig.directory))
    assert imported["counts"]["created"] == RECIPIENTS
    readers = await rig.readers(list_id, NOES)
    mailing = await rig.mailing([list_id], "running")
    doors = rig.doors(list_id)
    due: asyncio.Queue[float] = asyncio.Queue()
    kills = 0
    killed: list[datetime] = []
    await rig.start(mailing)
    speaking = asyncio.create_task(spread(doors, readers, due))
    try:
        while True:
            found = await rig.client.patiently(f"/v1/mailings/{mailing}")
            ended = found.get("state") in ("finished", "cancelled", "failed")
            share = len(rig.seen(mailing)) / RECIPIENTS
            due.put_nowait(1.0 if ended else min(1.0, share * 1.2))
            if kills < KILLS and share > (kills + 1) / (KILLS + 1):
                # First one that sends, then the one that enforces.
                await rig.kill("dispatch", enforcer=kills == 1)
                killed.append(datetime.now(UTC))
                kills += 1
            if ended:
                break
            await asyncio.sleep(0.2)
        told = await asyncio.wait_for(speaking, 300)
        told = [await rig.enforced(doors, one) for one in told]
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        await doors.close()
    counts = await rig.finished(mailing)
    verdict = await rig.verdict(mailing, told)
    print(f"\n{verdict}; {counts}\n{slowest(told, killed)}")
    assert kills == KILLS
    assert {one.door for one in told if one.answered_at is not None} == set(DOORS)
    assert len([one for one in told if one.answered_at is not None]) == NOES
    assert verdict.violations == ()
    assert verdict.lost_nos == ()
    assert verdict.duplicates == ()
    assert verdict.lost_mails == ()
    assert verdict.unsaid_mails == ()
    assert counts["planned"] == RECIPIENTS
    assert counts["uncertain"] <= CONNECTIONS
    assert counts["suppressed"] >= NOES // 5, "the noes came too late to prove anything"
    assert verdict.latency(0.99) < WITHIN
