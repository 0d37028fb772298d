"""common.storage.engine: one pool to PostgreSQL as one house's role, and the four ways to open a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast
from uuid import UUID

import asyncpg
from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.storage.transaction import AlreadyHeard, Heard, Transaction
from mailmaker.common.web.problem import Unavailable
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

if TYPE_CHECKING:
    from mailmaker.common.web.call import Call

CONNECT_TIMEOUT = 5.0
COMMAND_TIMEOUT = 120.0

_SCOPE = text(
    "SELECT set_config('mailmaker.account', :account, true), set_config('mailmaker.platform', :platform, true)"
)


class StorageUnavailable(Unavailable):
    """PostgreSQL does not answer, or every connection is taken."""

    code = "storage_unavailable"


class Database:
    """The house's PostgreSQL. Row-level security shows each transaction one account, unless it says it is the platform's."""

    def __init__(self, url: str, *, house: str, pool: int = 10) -> None:
        self.house = house
        self._dsn = make_url(url)
        self._pool = pool
        self._engine: AsyncEngine | None = None

    async def open(self) -> None:
        """Makes the pool. Connects to nothing yet: a house starts while PostgreSQL is still away."""
        self._engine = create_async_engine(
            self._dsn.set(drivername="postgresql+asyncpg"),
            pool_size=self._pool,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=False,
            pool_recycle=1800,
            connect_args={
                "timeout": CONNECT_TIMEOUT,
                "command_timeout": COMMAND_TIMEOUT,
                "server_settings": {"application_name": f"mailmaker-{self.house}", "search_path": self.house},
            },
        )

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of its own outside the pool, autocommit: for LISTEN, which holds it for long."""
        try:
            conn = await asyncpg.connect(
                self._dsn.set(drivername="postgresql").render_as_string(hide_password=False),
                timeout=CONNECT_TIMEOUT,
                server_settings={"application_name": f"mailmaker-{self.house}", "search_path": self.house},
            )
        except (OSError, TimeoutError, asyncpg.PostgresError) as wrong:
            raise StorageUnavailable("PostgreSQL does not answer") from wrong
        try:
            yield conn
        finally:
            await asyncio.shield(_close(conn))

    @asynccontextmanager
    async def write(self, call: Call, verb: str) -> AsyncIterator[Transaction]:
        """An API write: one account, its Idempotency-Key, and a line in the audit trail, committed together."""
        async with self._transaction(call.account_id, platform=call.operator) as tx:
            await tx.begin_call(call, verb)
            yield tx

    @asynccontextmanager
    async def heard(self, heard: Heard, account_id: UUID) -> AsyncIterator[Transaction]:
        """An event's effect: its inbox row is committed with it. A second hearing raises AlreadyHeard."""
        async with self._transaction(account_id, platform=account_id == NOBODY) as tx:
            if not await tx.hear(heard):
                raise AlreadyHeard(str(heard.event_id))
            yield tx

    @asynccontextmanager
    async def account(self, account_id: UUID) -> AsyncIterator[Transaction]:
        """One account's rows, for reads and workers."""
        async with self._transaction(account_id, platform=False) as tx:
            yield tx

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[Transaction]:
        """Every account's rows: for workers that serve all, never for an API door."""
        async with self._transaction(NOBODY, platform=True) as tx:
            yield tx

    @asynccontextmanager
    async def _transaction(self, account_id: UUID, *, platform: bool) -> AsyncIterator[Transaction]:
        if self._engine is None:
            raise StorageUnavailable("the pool is closed")
        async with _mapped_failures(), self._engine.connect() as conn, conn.begin():
            await conn.execute(_SCOPE, {"account": str(account_id), "platform": "on" if platform else "off"})
            raw = await conn.get_raw_connection()
            tx = Transaction(self.house, account_id, conn, cast("asyncpg.Connection", raw.driver_connection))
            yield tx
            await tx.flush()


@asynccontextmanager
async def _mapped_failures() -> AsyncIterator[None]:
    """Turns "PostgreSQL is away" into one temporary error; everything else passes through."""
    try:
        yield
    except (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as wrong:
        if _is_away(wrong):
            raise StorageUnavailable("PostgreSQL does not answer") from wrong
        raise
    except (PoolTimeout, ConnectionError) as wrong:
        raise StorageUnavailable("no connection to PostgreSQL is free") from wrong


_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


def _is_away(wrong: BaseException) -> bool:
    seen: BaseException | None = wrong
    while seen is not None:
        if isinstance(seen, (*_AWAY, OSError, TimeoutError)):
            return True
        if isinstance(seen, DBAPIError) and seen.connection_invalidated:
            return True
        seen = seen.__cause__ or getattr(seen, "orig", None)
    return False


async def _close(conn: asyncpg.Connection) -> None:
    try:
        await conn.close(timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        conn.terminate()


__all__ = ["AlreadyHeard", "AsyncConnection", "Database", "Heard", "StorageUnavailable", "Transaction"]
