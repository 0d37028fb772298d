"""suppression.actions.read_feed: the feed, and how far it may be trusted."""

from __future__ import annotations

import asyncio

from mailmaker.common.contracts.internal import FeedPage
from mailmaker.common.storage.engine import Database
from mailmaker.suppression.actions.bell import Bell, until
from mailmaker.suppression.storage import feed

LOOK_AGAIN = 0.5
NEVER = 1e9
"""Seconds: the age told while no process vouches at all. Whoever sends by this feed then stops."""


async def read_feed(db: Database, bell: Bell, after: int, limit: int, wait: float, pepper: str) -> FeedPage:
    """The items after a number, in order; with none, holds the answer until there is one, at most `wait` seconds."""
    end = asyncio.get_running_loop().time() + wait
    while True:
        grown = bell.next_feed()
        async with db.platform() as tx:
            # The head and the vouching are read before the items: a younger item more does no harm, a missing one would.
            head, age = await feed.head(tx)
            items = await feed.after(tx, after, limit) if head > after else []
        left = end - asyncio.get_running_loop().time()
        if items or left <= 0:
            return FeedPage(
                items=tuple(items),
                head=head,
                confirmed_age=NEVER if age is None else max(0.0, age),
                pepper_check=pepper,
            )
        await until(grown, min(left, LOOK_AGAIN))
