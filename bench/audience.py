"""bench.audience: a list's contacts with six merge fields into dispatch's table, over the internal stream."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from uuid import UUID

import asyncpg
from mailmaker.common.demo.client import Client
from mailmaker.common.demo.people import write_file
from mailmaker.common.demo.stage import Stage, raised
from mailmaker.common.storage.bulk import copy_in
from mailmaker.common.testing.processes import environment
from mailmaker.common.web.internal import InternalClient
from mailmaker.contacts.storage.audience import query
from pydantic import SecretStr

from bench.figures import Ratio, Spread
from bench.growth import watched
from bench.upload import sent

GOAL = "at most 2"
FIELDS = ("name", "surname", "city", "province", "birth_date", "language")
# What dispatch copies an audience into: a table of that attempt alone, without indexes.
_TABLE = """
CREATE TEMPORARY TABLE bench_audience (list_position int, list_id uuid, contact_id uuid, fkey text, address text,
    address_key bytea, consent text, merge jsonb)
"""
_COLUMNS = ("list_position", "list_id", "contact_id", "fkey", "address", "address_key", "consent", "merge")


async def measure(folder: Path, rows: int, repeat: int) -> list[Ratio | Spread]:
    """Both ways in turn, on the same PostgreSQL."""
    file = folder / "people.csv"
    await asyncio.to_thread(write_file, file, rows)
    ours: list[float] = []
    inside: list[float] = []
    growth: dict[str, list[float]] = {}
    async with raised(folder / "stage", keep_bytes="sample:1000") as stage:
        async with Client(stage.dev["base_url"], stage.dev["account_key"]) as client:
            list_id = UUID(await client.open_list("bench", "email"))
        await sent(stage.dev, str(list_id), file, created=rows)
        for _ in range(repeat):
            inside.append(await _selected(stage, list_id, rows))
            async with watched(stage.up.pid, os.getpid()) as grown:
                ours.append(await _streamed(stage, list_id, rows))
            growth.setdefault(grown.who, []).append(grown.most)
    name = f"audience of {rows} contacts with {len(FIELDS)} merge fields"
    return [
        Ratio(f"{name}, streamed, over INSERT ... SELECT", "s", ours, inside, GOAL),
        Spread(f"{name}: memory a process took beyond idle", "MiB", growth, "p95 under 32 MiB"),
    ]


async def _selected(stage: Stage, list_id: UUID, rows: int) -> float:
    select = query(UUID(stage.dev["account_id"]), "email", [list_id], FIELDS, [{}], None)
    conn = await asyncpg.connect(stage.dev["database_url"], server_settings={"search_path": "contacts"})
    try:
        await conn.execute(_TABLE)
        began = time.perf_counter()
        done = await conn.execute(
            f"INSERT INTO bench_audience SELECT a, b, c, d, e, f, g, h::jsonb FROM ({select}) s (a, b, c, d, e, f, g, h)",
            timeout=900,
        )
        took = time.perf_counter() - began
    finally:
        await conn.close()
    _check(int(done.rpartition(" ")[2]), rows)
    return took


async def _streamed(stage: Stage, list_id: UUID, rows: int) -> float:
    told = dict(
        entry.split(b"=", 1) for entry in environment(stage.processes("contacts")[0]).split(b"\0") if entry
    )
    client = InternalClient(
        told[b"MAILMAKER_CONTACTS_URL"].decode(), SecretStr(told[b"MAILMAKER_SERVICE_TOKEN"].decode())
    )
    asked = {
        "account": stage.dev["account_id"], "channel": "email", "list": [str(list_id)], "fields": ",".join(FIELDS),
    }  # fmt: skip
    conn = await asyncpg.connect(stage.dev["database_url"])
    await client.open()
    try:
        await conn.execute(_TABLE)
        began = time.perf_counter()
        async with client.stream("/internal/audience", asked) as source:
            found = await copy_in(conn, "bench_audience", _COLUMNS, source)
        took = time.perf_counter() - began
    finally:
        await client.close()
        await conn.close()
    _check(found, rows)
    return took


def _check(found: int, rows: int) -> None:
    if found != rows:
        raise RuntimeError(f"{found} contacts in an audience of {rows}")
