"""bench.upload: a file sent as a client sends it, timed from the POST's last byte; the same bytes through raw COPY."""

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
from mailmaker.common.demo.people import HEADER

POLL = 0.1
COLUMNS = ", ".join(f"{name} {'date' if name == 'birth_date' else 'text'}" for name in HEADER)
_BOUNDARY = "bench-of-mail-maker"
_CHUNK = 1 << 20
_AT_WORK = ("received", "parsing", "staged", "planned")


def shuffled(source: Path, seed: int, *, changed: int = 0, removed: int = 0) -> Path:
    """The file's rows in another order; some of them in another city, some left out. The chosen ones are other ones for
    each seed."""
    header, *lines = source.read_bytes().splitlines(keepends=True)
    random.Random(seed).shuffle(lines)
    lines = lines[removed:]
    place = HEADER.index("city")
    for at in range(changed):
        cells = lines[at].split(b",")
        cells[place] = b"Bench %d" % seed
        lines[at] = b",".join(cells)
    random.Random(-seed).shuffle(lines)
    target = source.with_name("shuffled.csv")
    target.write_bytes(header + b"".join(lines))
    return target


async def copied(url: str, file: Path) -> float:
    """Seconds of the same bytes into a fresh logged table of the same columns, without indexes, committed."""
    conn = await asyncpg.connect(url)
    try:
        await conn.execute("DROP TABLE IF EXISTS bench_copy")
        await conn.execute(f"CREATE TABLE bench_copy ({COLUMNS})")
        await conn.execute("CHECKPOINT")
        began = time.perf_counter()
        await conn.copy_to_table("bench_copy", source=str(file), format="csv", header=True, timeout=900)
        took = time.perf_counter() - began
        await conn.execute("DROP TABLE bench_copy")
        await conn.execute("CHECKPOINT")
    finally:
        await conn.close()
    return took


async def sent(
    dev: dict[str, Any], list_id: str, file: Path, *, mode: str = "incremental", **counts: int
) -> float:
    """Seconds from the POST's last byte to `applied`. An import that did something else than `counts` is no figure."""
    sent_at = 0.0
    size = (await asyncio.to_thread(file.stat)).st_size
    head, tail = _form(json.dumps({"list": list_id, "mode": mode}), file.name)

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
            if found["state"] not in _AT_WORK:
                break
            await asyncio.sleep(POLL)
    took = time.perf_counter() - sent_at
    if found["state"] != "applied" or any(found["counts"][name] != many for name, many in counts.items()):
        raise RuntimeError(f"the import went otherwise: {found['state']} {found['error']} {found['counts']}")
    return took


def _form(options: str, name: str) -> tuple[bytes, bytes]:
    part = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
    head = f'{part}"options"\r\n\r\n{options}\r\n{part}"file"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    return head.encode(), f"\r\n--{_BOUNDARY}--\r\n".encode()
