"""One relay in a process of its own, to be stopped and killed: `relay_process.py DATABASE_URL SMTP_PORT CONNECTIONS`."""

from __future__ import annotations

import asyncio
import signal
import sys

from mailmaker.common.storage.engine import Database
from relay_stage import Stage


async def main(url: str, port: int, connections: int) -> None:
    db = Database(url, house="dispatch")
    await db.open()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    relay = Stage(db).relay(port, connections=connections)
    while not stop.is_set():
        await relay.run(stop)
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
