"""common.storage.bulk: COPY in and out as streams of bytes; Python moves bytes, not rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import asyncpg

COPY_TIMEOUT = 1800.0
_QUEUE = 8


async def copy_in(
    conn: asyncpg.Connection,
    table: str,
    columns: Sequence[str],
    source: AsyncIterator[bytes],
    *,
    schema: str | None = None,
    form: Literal["csv", "binary"] = "csv",
) -> int:
    """Copies a stream (CSV in PostgreSQL's dialect without a header, or its binary form) into a table without row-level
    security. Returns its rows."""
    status = await conn.copy_to_table(
        table, schema_name=schema, columns=list(columns), source=source, format=form, timeout=COPY_TIMEOUT
    )
    return int(str(status).rpartition(" ")[2])


async def copy_out(conn: asyncpg.Connection, query: str, *args: Any) -> AsyncIterator[bytes]:
    """The rows of a query as CSV (PostgreSQL's dialect, no header), in chunks, with back-pressure.

    Ends with the query's error if it fails: a receiver must throw away what a broken stream gave.
    """
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE)

    async def put(chunk: bytes) -> None:
        await queue.put(bytes(chunk))

    async def run() -> None:
        try:
            await conn.copy_from_query(query, *args, output=put, format="csv", timeout=COPY_TIMEOUT)
        finally:
            await queue.put(None)

    task = asyncio.create_task(run())
    try:
        while (chunk := await queue.get()) is not None:
            yield chunk
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=5)
