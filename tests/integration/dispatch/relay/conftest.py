from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.relay.worker import Relay
from relay_stage import Stage


@pytest.fixture
async def stage(database_of: Callable[[str], Awaitable[Database]]) -> Stage:
    """A dispatch schema with one open account, a sender and a watermark that is vouched for."""
    return await Stage(await database_of("dispatch")).set_up()


@pytest.fixture
async def running() -> AsyncIterator[Callable[[Relay], asyncio.Event]]:
    """Runs relays until the end of the test; gives the event that stops one."""
    tasks: list[tuple[asyncio.Event, asyncio.Task[None]]] = []

    def run(relay: Relay) -> asyncio.Event:
        stop = asyncio.Event()
        tasks.append((stop, asyncio.create_task(relay.run(stop))))
        return stop

    yield run
    for stop, task in tasks:
        stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 30)
