"""common.storage.pool: a few connections to PostgreSQL, lent to one transaction at a time."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

RECYCLE = 1800.0
"""Seconds after which a connection is replaced: a server's memory for one grows with what was asked on it."""
PATIENCE = 10.0
CLOSE_TIMEOUT = 2.0


class NoneFree(ConnectionError):
    """Every connection has been lent for longer than a caller waits."""


class Pool:
    """At most `size` connections, made when they are needed; the one used last is lent first.

    A connection that comes back inside a transaction is thrown away: nobody inherits another one's work.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], size: int) -> None:
        self._connect = connect
        self._places = asyncio.Semaphore(size)
        self._idle: deque[tuple[asyncpg.Connection, float]] = deque()
        self._born: dict[asyncpg.Connection, float] = {}
        self._closed = False

    async def take(self) -> asyncpg.Connection:
        """A connection; `give` it back. Raises NoneFree, or what connecting raises."""
        if self._places.locked():
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._places.acquire()
            except TimeoutError as late:
                raise NoneFree("every connection is taken") from late
        else:
            await self._places.acquire()
        try:
            return self._known() or await self._new()
        except BaseException:
            self._places.release()
            raise

    def give(self, conn: asyncpg.Connection) -> None:
        """Ends the loan."""
        self._places.release()
        if self._closed or conn.is_closed() or conn.is_in_transaction():
            self._drop(conn)
        else:
            self._idle.append((conn, self._born[conn]))

    async def close(self) -> None:
        """Closes what is not lent; what is lent is closed when it comes back."""
        self._closed = True
        idle, self._idle = self._idle, deque()
        for conn, _ in idle:
            self._born.pop(conn, None)
            await close(conn)

    def _known(self) -> asyncpg.Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            conn, born = self._idle.pop()
            if not conn.is_closed() and now - born < RECYCLE:
                return conn
            self._drop(conn)
        return None

    async def _new(self) -> asyncpg.Connection:
        conn = await self._connect()
        try:
            await _speak_json(conn)
        except BaseException:
            conn.terminate()
            raise
        self._born[conn] = asyncio.get_running_loop().time()
        return conn

    def _drop(self, conn: asyncpg.Connection) -> None:
        self._born.pop(conn, None)
        conn.terminate()


async def close(conn: asyncpg.Connection) -> None:
    """Says goodbye to PostgreSQL, but not for long."""
    try:
        await conn.close(timeout=CLOSE_TIMEOUT)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        conn.terminate()


async def _speak_json(conn: asyncpg.Connection) -> None:
    """json and jsonb columns come as Python objects, and are given as JSON text."""

    def read(raw: bytes) -> Any:
        return json.loads(raw)

    def read_versioned(raw: bytes) -> Any:
        return json.loads(raw[1:])

    await conn.set_type_codec("json", encoder=str.encode, decoder=read, schema="pg_catalog", format="binary")
    # jsonb's binary form begins with the number of its version, 1.
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda text: b"\x01" + text.encode(),
        decoder=read_versioned,
        schema="pg_catalog",
        format="binary",
    )
