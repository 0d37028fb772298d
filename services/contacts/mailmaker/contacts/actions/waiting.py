"""contacts.actions.waiting: how a worker of this house sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import StorageUnavailable


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


async def work_off(
    what: str,
    step: Callable[[], Awaitable[bool]],
    stop: asyncio.Event,
    bell: asyncio.Event,
    look_every: float,
) -> None:
    """Takes one step after the other until stopped; sleeps when one finds nothing to do, and while PostgreSQL is away."""
    while not stop.is_set():
        worked = False
        try:
            worked = await step()
        except StorageUnavailable as wrong:
            logger("contacts.actions").info(f"{what} wait", reason=str(wrong))
        if not worked:
            await woken(stop, bell, look_every)
