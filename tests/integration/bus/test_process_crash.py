"""integration: kill -9 of the process between a handler's commit and the bus's: applied once, in order, nothing lost."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from bus_house import BusHouse, working
from bus_road import Road, until
from mailmaker.common.bus.courier import Courier
from mailmaker.common.storage.engine import Database

Make = Callable[[str], Awaitable[Database]]
CRASHER = Path(__file__).parent / "bus_crasher.py"


async def test_a_process_killed_after_its_commit_applies_nothing_twice_and_loses_nothing(
    road: Road, database_of: Make, request: pytest.FixtureRequest
) -> None:
    house = BusHouse(await database_of("dispatch"), road.declared)
    servers = "" if road.kind == "memory" else str(request.getfixturevalue("kafka"))
    url = house.db._dsn.render_as_string(hide_password=False)
    await house.tell(*((f"k{n % 3}", str(n)) for n in range(40)))
    for last in (7, 1, 12):
        child = await asyncio.create_subprocess_exec(
            sys.executable, str(CRASHER), road.kind, servers, url, road.topic, str(house.account), str(last)
        )
        assert await asyncio.wait_for(child.wait(), 60) == -signal.SIGKILL
    so_far = sum(map(len, (await house.applied()).values()))
    assert 20 <= so_far < 40
    bus = await road.open()
    consumer = house.consumer(bus, member="dispatch-0")
    await bus.start()
    async with working(consumer, Courier(house.db, bus)):

        async def all_applied() -> bool:
            return sum(map(len, (await house.applied()).values())) >= 40 and await house.waiting() == 0

        await until(all_applied)
    assert await house.applied() == {f"k{k}": [str(n) for n in range(k, 40, 3)] for k in range(3)}
