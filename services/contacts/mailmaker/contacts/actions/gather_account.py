"""contacts.actions.gather_account: what the other houses keep of an account, pulled for its export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import UUID

from mailmaker.common.contracts.archives import path_of
from mailmaker.common.storage.archiving import Row, rows_of
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.web.internal import InternalClient, Refused, Unreachable
from mailmaker.contacts.storage import exports

AWAKE = 1.0
"""Seconds between two words in a transaction that waits for another house: PostgreSQL ends one that says nothing for 5."""
PAUSES = (5.0, 15.0)
"""Seconds until an export is tried again that another house did not answer."""
LONGEST_WAIT = timedelta(days=1)
AWAY = (
    "export.house_away",
    "a part of the platform did not answer for a day; nothing incomplete is given out",
)


async def gather_account(
    tx: Transaction, house: InternalClient, account_id: UUID
) -> AsyncIterator[Sequence[Row]]:
    """The rows that one other house gives, some at a time. Raises Unreachable when it does not give all of them."""
    try:
        async with house.stream(path_of(account_id)) as source:
            rows = aiter(rows_of(source))
            while (some := await _next(tx, rows)) is not None:
                yield some
    except Refused as wrong:
        # A house of the release before has no such door yet.
        raise Unreachable("another house does not give its part") from wrong


async def _next(tx: Transaction, rows: AsyncIterator[Sequence[Row]]) -> Sequence[Row] | None:
    coming = asyncio.ensure_future(_one(rows))
    try:
        while not (await asyncio.wait({coming}, timeout=AWAKE))[0]:
            await exports.stay(tx)
        return coming.result()
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _one(rows: AsyncIterator[Sequence[Row]]) -> Sequence[Row] | None:
    return await anext(rows, None)
