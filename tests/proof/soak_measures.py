"""proof: what a soak measures: memory of every process, what the logs say, what lies in the houses' queues and tables."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from mailmaker.common.demo.stage import Stage
from mailmaker.common.testing.processes import command_line, descendants

HOUSES = ("contacts", "ingest", "dispatch", "suppression", "fbl")
QUEUES = ("outbox", "handovers", "dead_letters")
MB = 1 << 20
EVERY = 2.0
LONG_LIVED = 600.0
"""Seconds after which a process may be asked whether it grows: what it fills in its first minutes is no leak."""
_PAGES = 4096
_ERROR = re.compile(r'"level": "(error|critical)"|^Traceback ')


@dataclass
class Memory:
    """Resident memory of every process below `up`, by role and pid, each `EVERY` seconds."""

    stage: Stage
    samples: dict[tuple[str, int], list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        for pid in (self.stage.up.pid, *descendants(self.stage.up.pid)):
            with contextlib.suppress(OSError, IndexError):
                size = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGES
                if role := self._role(pid):
                    self.samples[role, pid].append((time.monotonic(), size))

    def _role(self, pid: int) -> str:
        line = command_line(pid)
        if pid == self.stage.up.pid:
            return "up"
        if "mailmaker run " in line:
            return line.rpartition("mailmaker run ")[2]
        return (
            "kafka" if "kafka.Kafka" in line else "postgres" if line.startswith("postgres: mailmaker") else ""
        )

    def most(self) -> dict[str, float]:
        """The most that any process of a role ever had, in MB."""
        found: dict[str, float] = defaultdict(float)
        for (role, _), series in self.samples.items():
            found[role] = max(found[role], *(size / MB for _, size in series))
        return dict(found)

    def growth(self) -> list[tuple[str, int, float, float]]:
        """Of every long-lived process: role, pid, and the median of its middle and of its last third, in MB.

        The first third is left out: caches, pools and prepared statements fill then. A median over minutes is moved by
        no single file or mailing, and a leak of 1 kB a mail moves it by tens of MB."""
        found = []
        for (role, pid), series in self.samples.items():
            if series[-1][0] - series[0][0] >= LONG_LIVED:
                third = len(series) // 3
                middle, last = series[third : 2 * third], series[2 * third :]
                found.append((role, pid, *(median(size for _, size in part) / MB for part in (middle, last))))
        return found


@dataclass
class Logs:
    """Lines of the houses' logs that tell of a fault, with the moment at which they were found."""

    directory: Path
    found: list[tuple[float, str]] = field(default_factory=list)
    _read: dict[Path, int] = field(default_factory=dict)

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(0.5)

    def look(self) -> None:
        now = time.monotonic()
        for path in sorted(self.directory.glob("*.log")):
            with path.open(encoding="utf-8", errors="replace") as file:
                file.seek(self._read.get(path, 0))
                self.found += [
                    (now, f"{path.name}: {line.strip()[:500]}") for line in file if _ERROR.search(line)
                ]
                self._read[path] = file.tell()


class Tables:
    """The platform's PostgreSQL, read as its owner. The soak's verdict does not come from here; its hygiene does."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def fetch(self, query: str, *values: object) -> list[Mapping[str, object]]:
        conn = await asyncpg.connect(self._url, timeout=10)
        try:
            return [dict(row) for row in await conn.fetch(query, *values, timeout=300)]
        finally:
            await conn.close()

    async def waiting(self) -> dict[str, int]:
        """Rows of every queue of every house that is not empty."""
        found = {}
        for house in HOUSES:
            for queue in QUEUES:
                (row,) = await self.fetch(f"SELECT count(*)::int AS many FROM {house}.{queue}")
                if many := int(str(row["many"])):
                    found[f"{house}.{queue}"] = many
        for queue in ("awaiting", "incomplete"):
            (row,) = await self.fetch(f"SELECT count(*)::int AS many FROM suppression.{queue}")
            if many := int(str(row["many"])):
                found[f"suppression.{queue}"] = many
        return found

    async def bloated(self, least: int, most: float) -> list[str]:
        """Tables that have room for `most` times what is in them. Said by writing them anew: the counters of dead rows
        are lost with every kill of PostgreSQL."""
        sizes = """
        SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_table_size(c.oid) AS size FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname = ANY($1::text[])
        """
        before = {str(r["name"]): int(str(r["size"])) for r in await self.fetch(sizes, list(HOUSES))}
        big = [name for name, size in before.items() if size > least]
        conn = await asyncpg.connect(self._url, timeout=10)
        try:
            for name in big:
                await conn.execute(f"VACUUM FULL {name}", timeout=600)
        finally:
            await conn.close()
        after = {str(r["name"]): int(str(r["size"])) for r in await self.fetch(sizes, list(HOUSES))}
        told = {name: (before[name] / MB, after[name] / MB) for name in big}
        print("tables, MB before and after they are written anew:", told)
        return [
            f"{name} {b:.0f} MB for {a:.0f}" for name, (b, a) in told.items() if b > most * max(a, least / MB)
        ]


async def lag(bootstrap: str, groups: Sequence[str] = HOUSES) -> dict[str, int]:
    """Events on the bus that a house has not settled yet, where there are any."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await admin.start()
    await consumer.start()
    try:
        found = {}
        for group in groups:
            settled: dict[TopicPartition, object] = await admin.list_consumer_group_offsets(group)
            ends = await consumer.end_offsets(list(settled)) if settled else {}
            behind = sum(end - max(0, settled[part].offset) for part, end in ends.items())  # type: ignore[attr-defined]
            if behind:
                found[group] = behind
        return found
    finally:
        await consumer.stop()
        await admin.close()
