"""common.storage.engine: one pool to PostgreSQL as one house's role, and the four ways to open a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.storage.pool import NoneFree, Pool, close
from mailmaker.common.storage.transaction import AlreadyHeard, Heard, Transaction
from mailmaker.common.web.problem import Unavailable
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from mailmaker.common.web.call import Call

CONNECT_TIMEOUT = 5.0
COMMAND_TIMEOUT = 120.0

_SCOPE = "SELECT set_config('mailmaker.account', $1, true), set_config('mailmaker.platform', $2, true)"
# The same for every worker that serves all accounts, in the protocol that needs no prepared statement.
_PLATFORM = (
    "SELECT set_config('mailmaker.account', '00000000-0000-0000-0000-000000000000', true),"
    " set_config('mailmaker.platform', 'on', true)"
)


class StorageUnavailable(Unavailable):
    """PostgreSQL does not answer, or every connection is taken."""

    code = "storage_unavailable"


class Database:
    """The house's PostgreSQL. Row-level security shows each transaction one account, unless it says it is the platform's."""

    def __init__(self, url: str, *, house: str, pool: int = 10) -> None:
        self.house = house
        self._dsn = make_url(url).set(drivername="postgresql")
        self._size = pool
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Makes the pool. Connects to nothing yet: a house starts while PostgreSQL is still away."""
        self._pool = Pool(self._connect, self._size)

    async def close(self) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of its own outside the pool, autocommit: for LISTEN, which holds it for long."""
        conn = await self._connect(None)
        try:
            yield conn
        finally:
            await asyncio.shield(close(conn))

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
        pool = self._pool
        if pool is None:
            raise StorageUnavailable("the pool is closed")
        async with _mapped_failures():
            conn = await pool.take()
            try:
                async with conn.transaction():
                    if platform and account_id == NOBODY:
                        await conn.execute(_PLATFORM)
                    else:
                        await conn.fetchrow(_SCOPE, str(account_id), "on" if platform else "off")
                    tx = Transaction(self.house, account_id, conn)
                    yield tx
                    await tx.flush()
            finally:
                pool.give(conn)

    async def _connect(self, command_timeout: float | None = COMMAND_TIMEOUT) -> asyncpg.Connection:
        try:
            return await asyncpg.connect(
                self._dsn.render_as_string(hide_password=False),
                timeout=CONNECT_TIMEOUT,
                command_timeout=command_timeout,
                server_settings={"application_name": f"mailmaker-{self.house}", "search_path": self.house},
            )
        except (OSError, TimeoutError, asyncpg.PostgresError) as wrong:
            raise StorageUnavailable("PostgreSQL does not answer") from wrong


@asynccontextmanager
async def _mapped_failures() -> AsyncIterator[None]:
    """Turns "PostgreSQL is away" into one temporary error; everything else passes through."""
    try:
        yield
    except asyncpg.InternalClientError as wrong:
        # The server has said its last word, and the end of the connection is not read yet.
        raise StorageUnavailable("PostgreSQL ended the connection") from wrong
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as wrong:
        if _is_away(wrong):
            raise StorageUnavailable("PostgreSQL does not answer") from wrong
        raise
    except NoneFree as wrong:
        raise StorageUnavailable("no connection to PostgreSQL is free") from wrong
    except ConnectionError as wrong:
        raise StorageUnavailable("PostgreSQL does not answer") from wrong


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
        seen = seen.__cause__
    return False


__all__ = ["AlreadyHeard", "Database", "Heard", "StorageUnavailable", "Transaction"]
