"""bench.reimport: a file of a list again: unchanged, 1 % changed, 1 % removed; over COPY and over a row-by-row upsert."""

from __future__ import annotations

import asyncio
import csv
import time
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from mailmaker.common.demo.client import Client
from mailmaker.common.demo.people import HEADER, write_file
from mailmaker.common.demo.stage import Stage, raised

from bench.figures import Ratio, Spread
from bench.growth import watched
from bench.upload import COLUMNS, copied, sent, shuffled

_ROWS_ONE_BY_ONE = 20_000
_CELLS = [f"${n}::text::date" if name == "birth_date" else f"${n}" for n, name in enumerate(HEADER, 1)]
_SET = [f"{name} = excluded.{name}" for name in HEADER if name != "email"]
_UPSERT = f"""
INSERT INTO bench_upsert VALUES ({", ".join(_CELLS)}) ON CONFLICT (email) DO UPDATE SET {", ".join(_SET)}
"""


@dataclass
class _Seconds:
    unchanged: list[float] = field(default_factory=list)
    changed: list[float] = field(default_factory=list)
    removed: list[float] = field(default_factory=list)
    copy: list[float] = field(default_factory=list)
    by_row: list[float] = field(default_factory=list)
    growth: dict[str, list[float]] = field(default_factory=dict)


async def measure(folder: Path, rows: int, repeat: int) -> list[Ratio | Spread]:
    """Imports once, then measures each kind of re-import and its yardsticks in turn on the same PostgreSQL."""
    first = folder / "people.csv"
    await asyncio.to_thread(write_file, first, rows)
    took = _Seconds()
    async with raised(folder / "stage", keep_bytes="sample:1000") as stage:
        async with Client(stage.dev["base_url"], stage.dev["account_key"]) as client:
            list_id = await client.open_list("bench", "email")
        await sent(stage.dev, list_id, first, created=rows)
        for turn in range(1, repeat + 1):
            await _turn(stage, list_id, first, rows, turn, took)
    per_second = [rows / seconds for seconds in took.unchanged]
    name = f"re-import of {rows} rows, shuffled"
    return [
        Ratio(f"{name}, none changed, over raw COPY", "s", took.unchanged, took.copy, "at most 4"),
        Ratio(f"{name}, 1 % changed, over none changed", "s", took.changed, took.unchanged, "at most 1.3"),
        Ratio(
            f"{name}, 1 % removed (full), over none changed", "s", took.removed, took.unchanged, "at most 1.5"
        ),
        Ratio(
            f"{name}, none changed, over row-by-row upsert", "rows/s", per_second, took.by_row, "at least 30"
        ),
        Spread(f"{name}: memory a process took beyond idle", "MiB", took.growth, "p95 under 40 MiB"),
    ]


async def _turn(stage: Stage, list_id: str, first: Path, rows: int, turn: int, took: _Seconds) -> None:
    dev, some = stage.dev, max(1, rows // 100)
    file = await asyncio.to_thread(shuffled, first, turn)
    took.copy.append(await copied(dev["database_url"], file))
    took.by_row.append(await _row_by_row(dev["database_url"], file))
    async with watched(stage.up.pid) as growth:
        took.unchanged.append(await sent(dev, list_id, file, unchanged=rows))
    took.growth.setdefault(growth.who, []).append(growth.most)
    file = await asyncio.to_thread(shuffled, first, turn, changed=some)
    took.changed.append(await sent(dev, list_id, file, updated=some, unchanged=rows - some))
    # As it was, for the next turn; the removed ones come back likewise.
    await sent(dev, list_id, first, updated=some)
    file = await asyncio.to_thread(shuffled, first, turn, removed=some)
    took.removed.append(await sent(dev, list_id, file, mode="full", removed=some, unchanged=rows - some))
    await sent(dev, list_id, first, created=some)


async def _row_by_row(url: str, file: Path) -> float:
    """Rows a second of a prepared upsert, a row at a time in one transaction, of rows that the table holds already."""
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        next(reader)
        rows = [row for _, row in zip(range(_ROWS_ONE_BY_ONE), reader, strict=False)]
    conn = await asyncpg.connect(url)
    try:
        await conn.execute("DROP TABLE IF EXISTS bench_upsert")
        await conn.execute(f"CREATE TABLE bench_upsert ({COLUMNS}, PRIMARY KEY (email))")
        await conn.copy_to_table("bench_upsert", source=str(file), format="csv", header=True, timeout=900)
        statement = await conn.prepare(_UPSERT)
        began = time.perf_counter()
        async with conn.transaction():
            for row in rows:
                await statement.fetch(*row)
        took = time.perf_counter() - began
        await conn.execute("DROP TABLE bench_upsert")
    finally:
        await conn.close()
    return len(rows) / took
