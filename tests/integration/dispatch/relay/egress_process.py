"""One relay that leads mail out by pools, in a process of its own: `egress_process.py DATABASE_URL DNS PORT SHAPING`."""

from __future__ import annotations

import asyncio
import signal
import sys

from egress_stage import shaped
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.actions.sweep_leases import LeaseSweeper
from relay_stage import Stage


async def main(url: str, dns: str, port: int, shaping: str) -> None:
    db = Database(url, house="dispatch")
    await db.open()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    relay = Stage(db).relay(None, nameserver=dns, smtp_port=port, shaping=shaped(20, shaping))
    sweeping = asyncio.create_task(LeaseSweeper(db, Metrics()).run(stop))
    while not stop.is_set():
        await relay.run(stop)
    await sweeping
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
