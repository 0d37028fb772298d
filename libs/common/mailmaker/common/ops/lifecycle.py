"""common.ops.lifecycle: how a house lives: resources open, workers run and are started again, doors serve, all ends."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Protocol

import uvicorn
from fastapi import FastAPI
from mailmaker.common.bus.protocol import Bus
from mailmaker.common.ops.logging import logger
from mailmaker.common.ops.settings import PREFIX, ServiceSettings, Shared, load, load_shared

GROUP = "mailmaker.services"
STOP_TIMEOUT = 25.0


class DoorsClosed(RuntimeError):
    """A process that answers nobody must end, so that it is started again."""


class Worker(Protocol):
    """Something that runs until told to stop. An exception ends it; it is started again with back-off."""

    name: str

    async def run(self, stop: asyncio.Event) -> None: ...


class Resource(Protocol):
    """Something opened before the house serves and closed after."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Running:
    """A built house."""

    app: FastAPI
    workers: Sequence[Worker] = ()
    resources: Sequence[Resource] = ()


@dataclass(frozen=True)
class House:
    """What an entry point of the group `mailmaker.services` names. `paths` are the prefixes the front door sends here."""

    name: str
    paths: tuple[str, ...]
    settings: type[ServiceSettings]
    build: Callable[[Any, Shared, Bus], Awaitable[Running]]
    needs: Mapping[str, str] = field(default_factory=dict)


def houses() -> dict[str, House]:
    """Every installed house by name; common itself knows none."""
    found = {point.name: point.load() for point in entry_points(group=GROUP)}
    return dict(sorted(found.items()))


def house_named(name: str) -> House:
    """One installed house; the others are not imported."""
    (point,) = entry_points(group=GROUP, name=name)
    house: House = point.load()
    return house


def house_names() -> tuple[str, ...]:
    """The names of the installed houses, without importing them."""
    return tuple(sorted(point.name for point in entry_points(group=GROUP)))


async def run_houses(chosen: Sequence[House], environ: Mapping[str, str], bus: Bus) -> None:
    """Runs houses in this process until SIGTERM or SIGINT: one as a pod does, or all five on one in-process bus."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    shared = load_shared(environ, house_names())
    async with contextlib.AsyncExitStack() as life:
        built = []
        for house in chosen:
            settings = load(house.settings, environ, f"{PREFIX}{house.name.upper()}_")
            built.append((await house.build(settings, shared, bus), settings))
        # Building declares every consumer: only then may records flow. The road outlives those who use it.
        life.push_async_callback(bus.stop)
        await bus.start()
        doors = [await life.enter_async_context(alive(running, settings)) for running, settings in built]
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({stopping, *doors}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not stop.is_set():
            raise DoorsClosed("a house's HTTP doors could not be opened, or fell shut")


@contextlib.asynccontextmanager
async def alive(running: Running, settings: ServiceSettings) -> Any:
    """A built house with its resources open and its workers running; yields the task that serves its doors."""
    stop = asyncio.Event()
    opened: list[Resource] = []
    server = uvicorn.Server(
        uvicorn.Config(
            running.app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=10,
            timeout_keep_alive=75,
            proxy_headers=False,
        )
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    tasks: list[asyncio.Task[None]] = []
    try:
        for resource in running.resources:
            await resource.open()
            opened.append(resource)
        if settings.workers:
            tasks = [
                asyncio.create_task(supervise(worker, stop), name=worker.name) for worker in running.workers
            ]
        serving = asyncio.create_task(_serve(server), name="http")
        try:
            yield serving
        finally:
            server.should_exit = True
            stop.set()
            await asyncio.wait([serving, *tasks], timeout=STOP_TIMEOUT)
            for task in (serving, *tasks):
                task.cancel()
            await asyncio.gather(serving, *tasks, return_exceptions=True)
    finally:
        for resource in reversed(opened):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(resource.close(), STOP_TIMEOUT)


async def _serve(server: uvicorn.Server) -> None:
    # uvicorn's serve() would take the process's signals for itself; two houses in a process cannot share them.
    with contextlib.suppress(SystemExit):
        await server._serve()


async def supervise(worker: Worker, stop: asyncio.Event) -> None:
    """Runs a worker until `stop`; one that falls is started again after 0.1 s, doubling to 10 s, with jitter."""
    log = logger("common.ops")
    pause = 0.1
    while not stop.is_set():
        began = asyncio.get_running_loop().time()
        try:
            await worker.run(stop)
        except asyncio.CancelledError:
            raise
        except Exception as wrong:
            log.warning("worker fell", worker=worker.name, error=type(wrong).__name__, exc_info=wrong)
        if stop.is_set():
            return
        if asyncio.get_running_loop().time() - began > 30:
            pause = 0.1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause * random.uniform(0.7, 1.3))
        pause = min(pause * 2, 10.0)
