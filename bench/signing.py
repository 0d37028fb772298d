"""bench.signing: signed messages per CPU-second of the dispatch processes, over what one core can sign."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path

from mailmaker.common.demo.client import Client
from mailmaker.common.demo.people import write_file
from mailmaker.common.demo.stage import Stage, raised

from bench.figures import Ratio, Spread

GOAL = "at least 0.40"
LETTER = 10_000
"""Bytes of HTML of the letter: what newsletters weigh, and what docs/performance measures."""
_SPEED = re.compile(r"^rsa 2048 bits\s+\S+\s+\S+\s+([\d.]+)", re.MULTILINE)
_TICKS = os.sysconf("SC_CLK_TCK")


async def measure(folder: Path, messages: int, repeat: int) -> list[Ratio | Spread]:
    """One mailing a turn, each beside a run of `openssl speed` when nothing else works."""
    file = folder / "recipients.csv"
    await asyncio.to_thread(write_file, file, messages)
    ours, yardstick = [], [await _openssl()]
    parts: dict[str, list[float]] = {}
    async with (
        raised(folder / "stage", keep_bytes="sample:1000") as stage,
        Client(stage.dev["base_url"], stage.dev["account_key"]) as client,
    ):
        list_id = await client.open_list("bench", "email")
        await client.import_file(list_id, file)
        template, sender = await client.open_template(LETTER), await client.sender()
        for turn in range(repeat):
            mailing = await client.open_mailing(f"bench {turn}", [list_id], sender, template)
            spent = await _sent(stage, client, mailing, messages)
            ours.append(messages / sum(spent.values()))
            for part, seconds in spent.items():
                parts.setdefault(f"us a message in {part}", []).append(seconds / messages * 1e6)
            yardstick.append(await _openssl())
    name = f"{messages} signed messages per CPU-second of dispatch, over openssl rsa2048"
    return [Ratio(name, "/s", ours, yardstick, GOAL, parts)]


async def _sent(stage: Stage, client: Client, mailing: str, messages: int) -> dict[str, float]:
    """CPU-seconds that one mailing took, by what the threads of dispatch's processes do."""
    pids = stage.processes("dispatch")
    before = _spent(stage, pids)
    await client.send("POST", f"/v1/mailings/{mailing}:start")
    found = await client.wait(f"/v1/mailings/{mailing}", ("finished", "failed", "cancelled"), None, 3600)
    if stage.processes("dispatch") != pids or found["counts"]["delivered"] != messages:
        raise RuntimeError(f"the mailing went otherwise: {found['state']} {found['counts']}")
    return {part: seconds - before[part] for part, seconds in _spent(stage, pids).items()}


def _spent(stage: Stage, pids: Sequence[int]) -> dict[str, float]:
    """CPU-seconds so far. A process that sends prepares and signs in threads, and does all else in its event loop."""
    enforcing = sum(map(_cpu_seconds, set(pids) & set(stage.enforcers())))
    whole = sum(map(_cpu_seconds, pids))
    loops = sum(_thread_seconds(pid, pid) for pid in pids) - enforcing
    return {
        "the process that enforces": enforcing,
        "event loops of those that send": loops,
        "threads that write and sign": whole - enforcing - loops,
    }


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads, and of its children that have ended (proc(5))."""
    return _ticks(Path(f"/proc/{pid}/stat"), 4)


def _thread_seconds(pid: int, thread: int) -> float:
    return _ticks(Path(f"/proc/{pid}/task/{thread}/stat"), 2)


def _ticks(stat: Path, fields: int) -> float:
    return sum(map(int, stat.read_text().rpartition(")")[2].split()[11 : 11 + fields])) / _TICKS


async def _openssl() -> float:
    """Signatures a second on one core."""
    process = await asyncio.create_subprocess_exec(
        "openssl",
        "speed",
        "-seconds",
        "3",
        "rsa2048",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 120)
    match = _SPEED.search(said.decode())
    if match is None:
        raise RuntimeError("openssl speed said nothing about rsa 2048")
    return float(match.group(1))
