"""contacts.actions.waiting: how a worker of this house sleeps."""

from __future__ import annotations

import asyncio


async def woken(stop: asyncio.Event, bell: asyncio.Event, at_most: float) -> None:
    """Returns when stopped, when the bell rings (it is reset), or after a while."""
    tasks = [asyncio.create_task(stop.wait()), asyncio.create_task(bell.wait())]
    try:
        await asyncio.wait(tasks, timeout=at_most, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    bell.clear()
