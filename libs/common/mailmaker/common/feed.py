"""common.feed: following suppression's feed of every "no": used by dispatch and contacts (design section 6)."""

from __future__ import annotations

from mailmaker.common.contracts.internal import FeedPage
from mailmaker.common.storage.pepper import WrongPepper
from mailmaker.common.web.internal import InternalClient, Unreachable

BATCH = 500
WAIT = 1.0


class FeedFollower:
    """Pulls the feed from a position its caller keeps. The feed, not the bus, is what is applied; events only wake."""

    def __init__(self, suppression: InternalClient, pepper_check: str) -> None:
        self._suppression = suppression
        self._pepper_check = pepper_check

    async def pull(self, after: int, *, wait: float = WAIT, limit: int = BATCH) -> FeedPage:
        """The items after a number, in order. With none, suppression holds the answer up to `wait` seconds.

        Raises Unreachable when suppression does not answer, WrongPepper when keys would not match.
        """
        query = {"after": after, "limit": limit, "wait": wait}
        page = await self._suppression.get("/internal/feed", FeedPage, query, timeout=wait + 3)
        if page is None:
            raise Unreachable("suppression has no feed")
        if page.pepper_check != self._pepper_check:
            raise WrongPepper("suppression and this house do not share a pepper")
        return page
