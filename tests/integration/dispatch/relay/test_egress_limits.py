"""Three relay processes and the limits of a site: they hold, whoever is killed or stopped (SHP-4, SHP-5)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from egress_stage import World, a_pool, a_source, a_world
from relay_stage import Stage, contacts, until

HERE = Path(__file__).parent
LIMIT = 20
GRANDE = f'[provider.grande]\nmx = ["one.test"]\nconnections = {LIMIT}\n'
ADDRESSES = ("127.0.2.1", "127.0.2.2", "127.0.2.3")


@contextlib.asynccontextmanager
async def relays(
    stage: Stage, world: World, count: int
) -> AsyncIterator[dict[int, asyncio.subprocess.Process]]:
    """Processes by their number."""
    url = stage.db._dsn.render_as_string(hide_password=False)
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / "egress_process.py"),
            url,
            world.dns.address,
            str(world.port),
            GRANDE,
            stdout=asyncio.subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )
        for _ in range(count)
    ]
    try:
        yield {process.pid: process for process in started}
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            await process.wait()


async def prepared(stage: Stage, people: int) -> None:
    """One pool of three sources, and mail for one site."""
    pool = await a_pool(stage, "all", default=True)
    for address in ADDRESSES:
        await a_source(stage, pool, address)
    in_list = await stage.open_list()
    mailing = await stage.mailing(in_list)
    await stage.messages(mailing, in_list, contacts(people), domain="one.test", lane="grande")


async def holders(stage: Stage) -> dict[str, int]:
    """Source address -> the process that holds its path."""
    rows = await stage.rows(
        "SELECT host(s.address) AS address, r.pid FROM paths p JOIN relays r ON r.fence = p.fence"
        " JOIN sources s ON s.id = p.source_id WHERE p.ends_at IS NULL"
    )
    return {row["address"]: row["pid"] for row in rows}


async def ended(stage: Stage) -> bool:
    return not (await stage.states()).keys() - {"delivered", "uncertain"}


async def test_limits_hold_with_three_processes_and_when_one_is_killed(stage: Stage) -> None:
    await prepared(stage, 3000)
    async with a_world({"mx.one.test": ["one.test"]}) as world, relays(stage, world, 3) as processes:
        server = world.sites["mx.one.test"]
        server.delay = 0.1

        async def all_led() -> bool:
            return len(await holders(stage)) == 3 and min(server.most_by_peer[a] for a in ADDRESSES) >= LIMIT

        await until(all_led)
        killed = (await holders(stage))["127.0.2.1"]
        processes[killed].kill()
        await processes[killed].wait()
        before = sum(seen.peer == "127.0.2.1" for seen in server.seen)

        async def led_again() -> bool:
            by_another = (await holders(stage)).get("127.0.2.1", killed) != killed
            return by_another and sum(seen.peer == "127.0.2.1" for seen in server.seen) > before + LIMIT

        await until(led_again)
        await until(lambda: ended(stage), 60)
        recipients = [seen.rcpt for seen in server.seen]
        states = await stage.states()
        assert max(server.most_by_peer.values()) <= LIMIT, server.most_by_peer
        assert len(recipients) == len(set(recipients))
        assert states.get("uncertain", 0) <= 3 * LIMIT
        assert len(recipients) >= states["delivered"]


async def test_a_stopped_holder_counts_until_it_has_closed_its_connections(stage: Stage) -> None:
    await prepared(stage, 2500)
    await stage.run("DELETE FROM sources WHERE address <> '127.0.2.1'")
    async with a_world({"mx.one.test": ["one.test"]}) as world, relays(stage, world, 2) as processes:
        server = world.sites["mx.one.test"]
        server.delay = 0.1

        async def at_work() -> bool:
            return server.most_by_peer["127.0.2.1"] >= LIMIT and len(await holders(stage)) == 1

        await until(at_work)
        stopped = (await holders(stage))["127.0.2.1"]
        processes[stopped].send_signal(signal.SIGSTOP)

        async def buried() -> bool:
            rows = await stage.rows("SELECT 1 FROM relays WHERE pid = $1", stopped)
            return not rows

        await until(buried)
        ghost = await stage.rows("SELECT connections, ends_at > now() AS counts FROM paths")
        assert [(row["connections"], row["counts"]) for row in ghost] == [(LIMIT, True)]
        assert await holders(stage) == {}, "nobody opens more while twenty may be open"
        processes[stopped].send_signal(signal.SIGCONT)
        await until(lambda: ended(stage), 60)
        recipients = [seen.rcpt for seen in server.seen]
        assert server.most_by_peer["127.0.2.1"] <= LIMIT
        assert len(recipients) == len(set(recipients))
