"""Relays in processes of their own: killed, stopped past their lease, told to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from mailmaker.common.ops.metrics import Metrics
from mailmaker.dispatch.actions.sweep_leases import LeaseSweeper
from relay_stage import Stage, contacts, renewal, until
from scripted_server import ScriptedServer, serving

HERE = Path(__file__).parent
CONNECTIONS = 4


@contextlib.asynccontextmanager
async def relay_process(stage: Stage, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    url = stage.db._dsn.render_as_string(hide_password=False)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "relay_process.py"),
        url,
        str(port),
        str(CONNECTIONS),
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()


async def until_seen(server: ScriptedServer, count: int) -> None:
    async def reached() -> bool:
        return len(server.seen) >= count

    await until(reached)


async def swept(stage: Stage) -> float:
    """Sweeps as another process would, until no relay is left and nothing in its hands. Returns how long that took."""
    sweeper, began = LeaseSweeper(stage.db, Metrics()), time.monotonic()
    async with asyncio.timeout(30):
        while await held(stage) or await stage.rows("SELECT FROM relays"):
            await asyncio.sleep(0.2)
            await sweeper.sweep()
    return time.monotonic() - began


async def held(stage: Stage) -> int:
    found = await stage.states()
    return found.get("sending", 0) + found.get("claimed", 0)


async def ended(stage: Stage) -> bool:
    return not (await stage.states()).keys() - {"delivered", "uncertain"}


async def has_new_fence(stage: Stage) -> bool:
    return bool(await stage.rows("SELECT FROM relays WHERE fence > 1"))


def addresses(server: ScriptedServer) -> list[str]:
    return [seen.rcpt.split("<")[1].split(">")[0] for seen in server.seen]


async def in_line(stage: Stage, people: int) -> None:
    in_list = await stage.open_list()
    mailing = await stage.mailing(in_list)
    await stage.messages(mailing, in_list, contacts(people))


async def test_a_killed_relay_leaves_no_more_uncertain_than_it_had_connections(stage: Stage) -> None:
    await in_line(stage, 2000)
    async with serving(ScriptedServer(delay=0.01)) as server:
        async with relay_process(stage, server.port) as process:
            await until_seen(server, 100)
            process.kill()
            await process.wait()
        assert await swept(stage) < 15
        found = await stage.states()
        assert found.get("uncertain", 0) <= CONNECTIONS
        async with relay_process(stage, server.port) as process:
            await until(lambda: ended(stage), 60)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0
        got = addresses(server)
        assert len(set(got)) == len(got)
        found = await stage.states()
        assert found["delivered"] + found.get("uncertain", 0) == 2000
        assert len(got) >= found["delivered"]
        assert await stage.rows("SELECT FROM relays") == []


async def test_a_relay_stopped_past_its_lease_sends_nothing_that_was_not_in_flight(stage: Stage) -> None:
    await in_line(stage, 3000)
    async with serving(ScriptedServer(delay=0.01)) as server, relay_process(stage, server.port) as process:
        await until_seen(server, 100)
        process.send_signal(signal.SIGSTOP)
        await swept(stage)
        # What another process does meanwhile: everything that has not begun is stopped; the rest is named in flight.
        await stage.run("UPDATE messages SET state = 'suppressed' WHERE state IN ('queued', 'deferred')")
        named = {
            row["address"]
            for row in await stage.rows("SELECT address FROM messages WHERE state = 'uncertain'")
        }
        assert len(named) <= CONNECTIONS
        before = set(addresses(server))
        process.send_signal(signal.SIGCONT)
        await until(lambda: has_new_fence(stage))
        await renewal(stage)
        got = addresses(server)
        assert set(got) - before <= named
        assert len(set(got)) == len(got)
