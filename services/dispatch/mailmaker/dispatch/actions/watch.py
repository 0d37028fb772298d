"""dispatch.actions: one glance of a relay at everything that may tell it to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncpg import Record
from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.domain.running import RunningMailing
from mailmaker.dispatch.storage import directives, running

DIRECTIVES_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Glance:
    """The watermark, directives newer than asked for, and the mailings running now."""

    number: int
    age: float
    directives: Sequence[Record]
    running: Sequence[RunningMailing]
    more: bool


async def start(db: Database) -> tuple[int, int]:
    """Where the feed's and contacts' directives stand now."""
    async with db.platform() as tx:
        return await running.numbers(tx)


async def glance(db: Database, feed: int, contacts: int) -> Glance:
    """The watermark is read before the directives: they are at least as new as it says."""
    async with db.platform() as tx:
        number, age = await directives.watermark(tx)
        rows = await running.since(tx, feed, contacts, DIRECTIVES_AT_ONCE)
        mailings = await running.running(tx)
    found = [
        RunningMailing(
            account_id=row["account_id"],
            id=row["id"],
            number=row["number"],
            channel=row["channel"],
            mail_class=row["class"],
            list_ids=tuple(row["list_ids"]),
            valid_until=row["valid_until"],
            due=row["due"],
            over=row["over"],
            sender_id=row["sender_id"],
            sender_domain=row["sender_domain"],
            tag=row["tag"],
            pooled=row["pooled"],
            rate=row["rate"],
        )
        for row in mailings
    ]
    # Only the feed's rows advance a cursor at once, so only a full page of them asks for another look.
    newer = sum(1 for row in rows if row["source"] == "feed")
    return Glance(number, age, rows, found, newer >= DIRECTIVES_AT_ONCE)
