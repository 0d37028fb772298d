"""dispatch.actions: one transaction a group: outcomes of what was sent, and the beginning of what is sent next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from uuid import UUID

import asyncpg
from asyncpg import Record
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.dispatch.actions.tell_outcomes import told
from mailmaker.dispatch.storage import outcomes
from mailmaker.dispatch.storage.outcomes import Beginning, Ended, Unbegun
from mailmaker.dispatch.storage.returns import give_back

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
)
TOLD = ("bounced", "expired")
"""Ends without a server's word that others must know of, as they would of a server's."""


class BeginAndSettle:
    """Holds one connection for the statement that runs hundreds of times a second: a group is one round trip.

    A send begins with the commit of this statement; a message it does not name is not sent.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._life = contextlib.AsyncExitStack()
        self._conn: asyncpg.Connection | None = None
        self._one_at_a_time = asyncio.Lock()

    async def group(self, ended: Sequence[Ended], beginning: Sequence[Beginning], fence: int) -> set[UUID]:
        """Settles and begins. Returns the messages that have begun.

        StorageUnavailable: nobody knows whether it was committed. Settling the same outcomes again changes nothing;
        what should have begun must not be sent.
        """
        async with self._one_at_a_time:
            if any(one.gives_back for one in ended):
                return await self._with_returns(ended, beginning, fence)
            conn = await self._connected()
            try:
                rows = await outcomes.settle_and_begin(conn, ended, beginning, fence)
            except _AWAY as wrong:
                await self.close()
                raise StorageUnavailable("PostgreSQL does not answer") from wrong
        return {row["id"] for row in rows if row["begun"]}

    async def _with_returns(
        self, ended: Sequence[Ended], beginning: Sequence[Beginning], fence: int
    ) -> set[UUID]:
        """The same with cap instants given back: two statements, one transaction."""
        async with self._db.platform() as tx:
            rows = await outcomes.settle_and_begin(tx.driver, ended, beginning, fence)
            await give_back(tx, [row for row in rows if not row["begun"]])
        return {row["id"] for row in rows if row["begun"]}

    async def _connected(self) -> asyncpg.Connection:
        if self._conn is None or self._conn.is_closed():
            await self.close()
            self._conn = await self._life.enter_async_context(self._db.connection())
            await outcomes.serve_every_account(self._conn)
        return self._conn

    async def close(self) -> None:
        """Gives the connection up; the next group takes a new one."""
        self._conn = None
        life, self._life = self._life, contextlib.AsyncExitStack()
        await life.aclose()


async def unclaim(db: Database, messages: Sequence[Unbegun], fence: int) -> int:
    """Puts claimed messages that this relay will not begin back in line, or out for good, which is told."""
    if not messages:
        return 0
    async with db.platform() as tx:
        rows: list[Record] = await outcomes.unclaim(tx.driver, messages, fence)
        await give_back(tx, rows)
        tx.stage(*told([row for row in rows if row["state"] in TOLD]))
    return len(rows)
