"""bench.reimport: a file of unchanged rows in another order, from the POST's last byte to `applied`, over raw COPY."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from mailmaker.common.demo.client import Client
from mailmaker.common.demo.people import HEADER, write_file
from mailmaker.common.demo.stage import raised

from bench.figures import Ratio

GOAL = "at most 8"
POLL = 0.02
_BOUNDARY = "bench-of-mail-maker"
_CHUNK = 1 << 20


async def measure(folder: Path, rows: int, repeat: int) -> Ratio:
    """Imports once, then measures re-imports and raw COPYs in turn on the same PostgreSQL."""
    first = folder / "people.csv"
    await asyncio.to_thread(write_file, first, rows)
    ours, copies = [], []
    async with raised(folder / "stage", keep_bytes="sample:1000") as stage:
        dev = stage.dev
        async with Client(dev["base_url"], dev["account_key"]) as client:
            list_id = await client.open_list("bench", "email")
            made = await client.import_file(list_id, first)
            _check(made, created=rows)
            for turn in range(repeat):
                shuffled = await asyncio.to_thread(_shuffled, first, turn)
                copies.append(await _copied(dev["database_url"], shuffled))
                ours.append(await _reimported(dev, list_id, shuffled, rows))
    return Ratio(f"re-import of {rows} unchanged rows, shuffled, over raw COPY", "s", ours, copies, GOAL)


def _shuffled(source: Path, seed: int) -> Path:
    header, *lines = source.read_bytes().splitlines(keepends=True)
    random.Random(seed).shuffle(lines)
    target = source.with_name("shuffled.csv")
    target.write_bytes(header + b"".join(lines))
    return target


async def _copied(url: str, file: Path) -> float:
    """The same bytes into a fresh logged table of the same columns, without indexes, committed."""
    conn = await asyncpg.connect(url)
    try:
        await conn.execute("DROP TABLE IF EXISTS bench_copy")
        columns = ", ".join(f"{name} {'date' if name == 'birth_date' else 'text'}" for name in HEADER)
        await conn.execute(f"CREATE TABLE bench_copy ({columns})")
        await conn.execute("CHECKPOINT")
        began = time.perf_counter()
        await conn.copy_to_table("bench_copy", source=str(file), format="csv", header=True)
        took = time.perf_counter() - began
        await conn.execute("DROP TABLE bench_copy")
        await conn.execute("CHECKPOINT")
    finally:
        await conn.close()
    return took


async def _reimported(dev: dict[str, Any], list_id: str, file: Path, rows: int) -> float:
    sent_at = 0.0
    size = (await asyncio.to_thread(file.stat)).st_size
    head, tail = _form(json.dumps({"list": list_id, "mode": "incremental"}), file.name)

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent_at
        yield head
        with file.open("rb") as source:
            while chunk := source.read(_CHUNK):
                yield chunk
        yield tail
        # Resumed once the last chunk has been handed to the socket.
        sent_at = time.perf_counter()

    headers = {
        "Authorization": f"Bearer {dev['account_key']}",
        "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
        "Content-Length": str(len(head) + size + len(tail)),
    }
    async with httpx.AsyncClient(base_url=dev["base_url"], timeout=600, trust_env=False) as http:
        answer = await http.post("/v1/imports", content=body(), headers=headers)
        answer.raise_for_status()
        path = f"/v1/imports/{answer.json()['id']}"
        while True:
            found = (await http.get(path, headers={"Authorization": headers["Authorization"]})).json()
            if found["state"] not in ("received", "parsing", "staged", "planned"):
                break
            await asyncio.sleep(POLL)
    took = time.perf_counter() - sent_at
    _check(found, unchanged=rows)
    return took


def _form(options: str, name: str) -> tuple[bytes, bytes]:
    part = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
    head = f'{part}"options"\r\n\r\n{options}\r\n{part}"file"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    return head.encode(), f"\r\n--{_BOUNDARY}--\r\n".encode()


def _check(found: dict[str, Any], **counts: int) -> None:
    """A figure of an import that did something else would be worth nothing."""
    if found["state"] != "applied" or any(found["counts"][name] != many for name, many in counts.items()):
        raise RuntimeError(f"the import went otherwise: {found['state']} {found['error']} {found['counts']}")
