"""A "no" needs no Kafka: with the broker stopped half-way all four doors record, and dispatch obeys within 10 s."""

from __future__ import annotations

import asyncio
import time

import pytest
from e2e_rig import RECIPIENTS, Rig, sample
from mailmaker.common.demo.doors import DOORS
from mailmaker.common.testing.checker import Told

SAID = 200
WITHIN = 10.0


@pytest.mark.timeout(3600)
async def test_a_no_needs_no_kafka(rig: Rig) -> None:
    list_id, _ = await rig.list_of("no kafka", sample(RECIPIENTS, 12, rig.directory))
    readers = await rig.readers(list_id, SAID)
    mailing = await rig.mailing([list_id], "no kafka")
    doors = rig.doors(list_id)
    gate = asyncio.Semaphore(20)
    try:
        await rig.start(mailing)
        await rig.reached(mailing, 0.3, RECIPIENTS)
        # Stopped, not killed: connections stay open and nothing is answered, the worst a broker can do.
        async with rig.stopped(rig.kafka()):
            began = time.monotonic()

            async def one(number: int) -> Told:
                async with gate:
                    said = await doors.say(readers[number], DOORS[number % len(DOORS)])
                    return await rig.enforced(doors, said, WITHIN + 20)

            told = list(await asyncio.gather(*(one(number) for number in range(SAID))))
            assert time.monotonic() - began < 120
            counts = await rig.finished(mailing)
    finally:
        await doors.close()
    await rig.ready()
    verdict = await rig.verdict(mailing, told)
    print(f"\n{verdict}; {counts}")
    assert counts["suppressed"] >= SAID // 10, "the noes came too late to prove anything"
    assert all(one.answered_at is not None for one in told)
    assert verdict.lost_nos == ()
    assert verdict.violations == ()
    assert verdict.duplicates == ()
    assert verdict.latency(1) < WITHIN
