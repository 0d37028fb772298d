"""A "no" said at any door stops the mail of a mailing that is already running, though its relays are killed."""

from __future__ import annotations

import asyncio

import pytest
from e2e_rig import CONNECTIONS, NOES, RECIPIENTS, Rig, sample
from mailmaker.common.demo.doors import DOORS, spread

KILLS = 2


@pytest.mark.timeout(3600)
async def test_no_send_begins_after_enforced(rig: Rig) -> None:
    list_id, imported = await rig.list_of("running", sample(RECIPIENTS, 11, rig.directory))
    assert imported["counts"]["created"] == RECIPIENTS
    readers = await rig.readers(list_id, NOES)
    mailing = await rig.mailing([list_id], "running")
    doors = rig.doors(list_id)
    due: asyncio.Queue[float] = asyncio.Queue()
    kills = 0
    await rig.start(mailing)
    speaking = asyncio.create_task(spread(doors, readers, due))
    try:
        while True:
            found = await rig.client.patiently(f"/v1/mailings/{mailing}")
            ended = found.get("state") in ("finished", "cancelled", "failed")
            share = len(rig.seen(mailing)) / RECIPIENTS
            due.put_nowait(1.0 if ended else min(1.0, share * 1.2))
            if kills < KILLS and share > (kills + 1) / (KILLS + 1):
                await rig.kill("dispatch")
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
    print(f"\n{verdict}; {counts}")
    assert kills == KILLS
    assert {one.door for one in told if one.answered_at is not None} == set(DOORS)
    assert len([one for one in told if one.answered_at is not None]) == NOES
    assert verdict.violations == ()
    assert verdict.lost_nos == ()
    assert verdict.duplicates == ()
    assert verdict.lost_mails == ()
    assert verdict.unsaid_mails == ()
    assert counts["planned"] == RECIPIENTS
    assert counts["uncertain"] <= KILLS * CONNECTIONS
    assert counts["suppressed"] > 0
    assert verdict.latency(0.99) < 1.0
