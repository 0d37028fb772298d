"""integration: a process stopped past the end of its transaction comes back to "PostgreSQL does not answer", and goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from mailmaker.common.storage.engine import Database, StorageUnavailable
from sqlalchemy import text


@pytest.mark.parametrize("turns", range(5))
async def test_a_transaction_ended_by_the_server_is_a_temporary_failure(
    database_of: Callable[[str], Awaitable[Database]], turns: int
) -> None:
    """The server's last word and the end of its connection may be read in different turns of the loop."""
    db = await database_of("dispatch")

    async def stopped() -> None:
        async with db.platform() as tx:
            await tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = '20ms'"))
            time.sleep(0.2)  # noqa: ASYNC251 -- as SIGSTOP does: the loop reads nothing meanwhile
            for _ in range(turns):
                await asyncio.sleep(0)

    with pytest.raises(StorageUnavailable):
        await stopped()
    async with db.platform() as tx:
        assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1
