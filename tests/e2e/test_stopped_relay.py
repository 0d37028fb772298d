"""A relay that is stopped past its lease and wakes again sends nothing that was not named in flight."""

from __future__ import annotations

import asyncio

import pytest
from e2e_rig import CONNECTIONS, RECIPIENTS, Rig, eventually, sample
from mailmaker.common.demo.doors import DOORS

LEASE = 8.0
SAID = 100


@pytest.mark.timeout(3600)
async def test_a_relay_that_wakes_up_late_sends_nothing(rig: Rig) -> None:
    list_id, _ = await rig.list_of("stopped relay", sample(RECIPIENTS, 13, rig.directory))
    readers = await rig.readers(list_id, SAID)
    mailing = await rig.mailing([list_id], "stopped relay")
    doors = rig.doors(list_id)

    async def two_relays() -> bool:
        return len(rig.relays()) == 2

    await eventually("two relays", two_relays)
    try:
        await rig.start(mailing)
        await rig.reached(mailing, 0.15, RECIPIENTS)
        async with rig.stopped(rig.relays()[:1]):
            told = []
            for number, reader in enumerate(readers):
                told.append(await doors.say(reader, DOORS[number % len(DOORS)]))
            told = [await rig.enforced(doors, one) for one in told]
            await asyncio.sleep(LEASE * 1.5)  # the promise is about time: the lease must have run out
        counts = await rig.finished(mailing)
    finally:
        await doors.close()
    verdict = await rig.verdict(mailing, told)
    print(f"\n{verdict}; {counts}")
    assert verdict.violations == ()
    assert verdict.lost_nos == ()
    assert verdict.duplicates == ()
    assert verdict.lost_mails == ()
    assert verdict.unsaid_mails == ()
    assert counts["suppressed"] >= SAID // 4, "the noes came too late to prove anything"
    assert counts["uncertain"] <= CONNECTIONS
    assert len(rig.relays()) == 2
