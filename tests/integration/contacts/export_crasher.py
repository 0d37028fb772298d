"""A process that makes an export and stops in the middle of its file, to be killed there."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
from mailmaker.common.feed import FeedFollower
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.storage.engine import Database
from mailmaker.common.web.internal import InternalClient
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.run_exports import RunExports
from mailmaker.contacts.storage import exports
from pydantic import SecretStr


async def main(url: str) -> None:
    db = Database(url, house="contacts")
    await db.open()
    nobody = InternalClient(
        "http://nobody", SecretStr("s" * 40), transport=httpx.MockTransport(lambda _: httpx.Response(503))
    )
    house = Contacts(db, SystemClock(), b"p" * 32, nobody, FeedFollower(nobody, ""), nobody)
    write = exports.add_chunk

    async def written(*args: Any) -> None:
        await write(*args)
        print("in the middle", flush=True)
        # Busy, not idle: PostgreSQL ends an idle transaction by itself.
        while True:
            await args[0].driver.execute("SELECT pg_sleep(0.2)")

    exports.add_chunk = written
    await RunExports(house).step()


asyncio.run(main(sys.argv[1]))
