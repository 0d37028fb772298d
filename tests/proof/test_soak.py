"""proof: the platform at work for long, a process killed -9 every 10 to 20 s: every promise holds, all comes to rest.

The first two thirds of the time have kills in them; the last third has none. Everything random is drawn from PROOF_SEED.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from e2e_rig import CONNECTIONS, Rig, eventually
from mailmaker.common.demo.client import Client
from mailmaker.common.demo.doors import DOORS
from mailmaker.common.demo.stage import raised
from mailmaker.common.testing.checker import Verdict, judge
from soak_measures import MB, Logs, Memory, Tables, lag
from soak_saboteur import Saboteur
from soak_traffic import Traffic

MINUTES = float(os.environ.get("PROOF_MINUTES", "2"))
SEED = int(os.environ.get("PROOF_SEED", str(Random().randrange(1 << 32))))
CALM = 1 / 3
RELAYS = 2
GRACE = 10.0
"""Seconds after everything is ready again in which a fault in a log is still the kill's."""
MOST = {"up": 250, "kafka": 1500, "postgres": 700}
MOST_OF_A_HOUSE = 300
"""MB. Generous: what a house must never need, however short the run."""
GROWTH, SLACK = 1.03, 6.0
"""What the median of a long-lived process's last third may be over that of its middle third: a share, and MB."""


@asynccontextmanager
async def platform(directory: Path) -> AsyncIterator[Rig]:
    async with raised(directory, keep_bytes="sample:8") as stage:
        dev = stage.dev
        async with (
            Client(dev["base_url"], dev["account_key"]) as client,
            Client(dev["base_url"], dev["operator_key"]) as operator,
        ):
            yield Rig(stage, client, operator, directory)


@pytest.mark.timeout(MINUTES * 60 + 900)
async def test_soak(tmp_path: Path) -> None:
    print(f"PROOF_SEED={SEED} PROOF_MINUTES={MINUTES:g}")
    chance = Random(SEED)
    async with platform(tmp_path) as rig:
        traffic, saboteur = (
            Traffic(rig, Random(chance.random())),
            Saboteur(rig.stage, Random(chance.random())),
        )
        memory, logs = Memory(rig.stage), Logs(tmp_path / "state" / "logs")
        enough, calm = asyncio.Event(), asyncio.Event()
        watching = [asyncio.create_task(one) for one in (memory.run(), logs.run())]
        working = [asyncio.create_task(one) for one in (traffic.run(enough), saboteur.run(calm))]
        try:
            await _unless_one_fails(working, MINUTES * 60 * (1 - CALM))
            calm.set()
            await _unless_one_fails(working[:1], MINUTES * 60 * CALM)
            enough.set()
            await asyncio.gather(*working)
            await rig.ready()
            verdict, uncertain = await _verdict(rig, traffic)
            print(
                f"\n{traffic.rounds} rounds, kills {dict(saboteur.many())}; {verdict}; uncertain {uncertain}"
            )
            _promises(verdict, traffic, saboteur, uncertain)
            assert await traffic.forgotten_edits() == []
            await _rest(rig)
        finally:
            for task in (*watching, *working):
                task.cancel()
            await asyncio.gather(*watching, *working, return_exceptions=True)
        logs.look()
        _hygiene(rig, saboteur, memory, logs)
        assert await Tables(rig.stage.dev["database_url"]).bloated(16 * MB, 4) == []


async def _unless_one_fails(working: list[asyncio.Task[None]], seconds: float) -> None:
    """Lets them work; what one of them raises is raised here and now."""
    done, _ = await asyncio.wait(working, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


async def _verdict(rig: Rig, traffic: Traffic) -> tuple[Verdict, int]:
    told = await traffic.enforced()
    delivered: list[tuple[str, str]] = []
    maybe: list[tuple[str, str]] = []
    uncertain = 0
    for mailing in traffic.mailings:
        for state, kept in (("delivered", delivered), ("uncertain", maybe), ("bounced", maybe)):
            kept += [(mailing, item["address"].casefold()) for item in await rig.messages(mailing, state)]
        uncertain += (await rig.counts(mailing))["uncertain"]
    return judge(rig.seen(*traffic.mailings), told, rig.numbers, delivered, maybe), uncertain


def _promises(verdict: Verdict, traffic: Traffic, saboteur: Saboteur, uncertain: int) -> None:
    assert verdict.violations == ()
    assert verdict.lost_nos == ()
    assert verdict.duplicates == ()
    assert verdict.lost_mails == ()
    assert verdict.unsaid_mails == ()
    assert all(told.answered_at is not None for _, told in traffic.told)
    assert {told.door for _, told in traffic.told} == set(DOORS)
    assert traffic.stopped >= len(traffic.told) // 10, "the noes came too late to prove anything"
    kills = saboteur.many()
    assert sum(kills.values()) >= MINUTES * 60 * (1 - CALM) / 60, "too few kills to prove anything"
    # A relay's death leaves what its connections were sending; PostgreSQL's what those of all relays had not written down.
    assert uncertain <= CONNECTIONS * (kills["relay"] + RELAYS * kills["postgres"])


async def _rest(rig: Rig) -> None:
    """Every queue of every house empties, and nothing was given up."""
    tables = Tables(rig.stage.dev["database_url"])
    last: dict[str, int] = {}

    async def empty() -> bool:
        nonlocal last
        last = await tables.waiting() | await lag(rig.stage.dev["kafka"])
        return not last

    try:
        await eventually("every queue is empty", empty, 90, 0.5)
    except AssertionError as wrong:
        raise AssertionError(f"{wrong}; {last}") from None


def _hygiene(rig: Rig, saboteur: Saboteur, memory: Memory, logs: Logs) -> None:
    most = memory.most()
    print("most memory, MB:", {role: round(size) for role, size in sorted(most.items())})
    assert {role: size for role, size in most.items() if size > MOST.get(role, MOST_OF_A_HOUSE)} == {}
    growth = memory.growth()
    print("growth, MB:", [(role, pid, round(a, 1), round(b, 1)) for role, pid, a, b in growth])
    # Java takes its heap as it likes, up to -Xmx: the absolute bound above is its.
    assert [one for one in growth if one[0] != "kafka" and one[3] > one[2] * GROWTH + SLACK] == []
    assert [line for at, line in logs.found if not saboteur.explains(at, GRACE)] == []
    ends = [
        line for line in (rig.directory / "up.log").read_text().splitlines() if "is started again" in line
    ]
    assert len(ends) == len(saboteur.kills), "a process ended that nobody killed:\n" + "\n".join(ends)
