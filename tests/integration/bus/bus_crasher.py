"""tests of the bus: a process that carries and hears, and kills itself (-9) right after its Nth handler committed.

python bus_crasher.py {memory|kafka} SERVERS DATABASE_URL TOPIC ACCOUNT N
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from uuid import UUID

from bus_house import BusHouse, Told, working
from bus_road import TIMES
from mailmaker.common.bus.courier import Courier
from mailmaker.common.bus.kafka import KafkaBus
from mailmaker.common.bus.memory import MemoryBus
from mailmaker.common.contracts.topic import Topic
from mailmaker.common.storage.engine import Database, Heard


async def run(kind: str, servers: str, url: str, topic: str, account: UUID, last: int) -> None:
    db = Database(url, house="dispatch")
    await db.open()
    house = BusHouse(db, Topic(topic, "dispatch", "key", timedelta(days=1), "test", partitions=4))
    house.account = account
    bus = MemoryBus() if kind == "memory" else KafkaBus(servers, times=TIMES)
    applied = 0

    async def apply_and_die(event: Told, heard: Heard) -> None:
        nonlocal applied
        await house.apply(event, heard)
        applied += 1
        if applied == last:
            os.kill(os.getpid(), signal.SIGKILL)

    consumer = house.consumer(bus, apply_and_die, member="dispatch-0")
    await bus.start()
    async with working(consumer, Courier(db, bus)):
        await asyncio.sleep(60)


if __name__ == "__main__":
    kind, servers, url, topic, account, last = sys.argv[1:]
    asyncio.run(run(kind, servers, url, topic, UUID(account), int(last)))
