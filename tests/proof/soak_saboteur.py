"""proof: kill -9 of a process, then another, for as long as a soak lasts; what is drawn from one seed is written down."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from random import Random

from mailmaker.common.demo.stage import Stage
from mailmaker.common.testing.processes import command_line, descendants, is_alive

PAUSES = (10.0, 20.0)
"""Seconds between two kills, drawn anew for each."""
HOUSES = ("contacts", "ingest", "relay", "relay", "enforcer", "suppression", "fbl")
INFRASTRUCTURE = {"postgres": "postgres -D", "kafka": "kafka.Kafka"}
EVERY = 6
"""One kill in so many is PostgreSQL's or Kafka's."""
HEALED_WITHIN = 120.0


@dataclass
class Kill:
    """One of them: what, when (seconds of the monotonic clock), and when the front door was ready again."""

    what: str
    pid: int
    at: float
    healed: float | None = None

    def __str__(self) -> str:
        return self.what if self.healed is None else f"{self.what} {self.healed - self.at:.1f}"


class Saboteur:
    """Kills until told to stop, each time only what has healed from the last kill."""

    def __init__(self, stage: Stage, chance: Random) -> None:
        self._stage, self._chance = stage, chance
        self.kills: list[Kill] = []

    async def run(self, stop: asyncio.Event) -> None:
        while not await _stopped(stop, self._chance.uniform(*PAUSES)):
            what = self._chance.choice(
                tuple(INFRASTRUCTURE) if self._chance.randrange(EVERY) == 0 else HOUSES
            )
            pids = self._pids(what)
            assert pids, f"no process of {what} is there to be killed"
            kill = Kill(what, self._chance.choice(pids), time.monotonic())
            os.kill(kill.pid, signal.SIGKILL)
            self.kills.append(kill)
            await self._healed(kill)

    def many(self) -> Counter[str]:
        return Counter(kill.what for kill in self.kills)

    def explains(self, at: float, grace: float) -> bool:
        """Whether a moment lies between a kill and `grace` seconds after everything was ready again."""
        return any(
            kill.at <= at and (kill.healed is None or at <= kill.healed + grace) for kill in self.kills
        )

    def _pids(self, what: str) -> list[int]:
        if what == "relay":
            return self._stage.relays()
        if what == "enforcer":
            return self._stage.enforcers()
        if (part := INFRASTRUCTURE.get(what)) is None:
            return self._stage.processes(what)
        return sorted(pid for pid in descendants(self._stage.up.pid) if part in command_line(pid))

    async def _healed(self, kill: Kill) -> None:
        deadline = time.monotonic() + HEALED_WITHIN
        while not (not is_alive(kill.pid) and self._pids(kill.what) and await self._stage.ready()):
            assert time.monotonic() < deadline, f"{kill.what} has not come back within {HEALED_WITHIN:.0f} s"
            await asyncio.sleep(0.2)
        kill.healed = time.monotonic()


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()
