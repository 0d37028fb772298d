"""Records one "no" after the other until it is killed. Arguments: database URL, account."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.suppression.actions.record import record
from mailmaker.suppression.domain.no import No


def a_no(account: UUID) -> No:
    id = new_id()
    return No(id, account, "email", "account", None, b"a" + id.bytes, "api", "manual", datetime.now(UTC))


async def main(url: str, account: UUID) -> None:
    db = Database(url, house="suppression")
    await db.open()
    while True:
        async with db.account(account) as tx:
            await record(tx, [a_no(account) for _ in range(3)])
            print("about to commit", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], UUID(sys.argv[2])))
