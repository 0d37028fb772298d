"""dispatch.actions: how old the feed's word is here. Past the limit nothing new may be sent (design section 6, step 4)."""

from __future__ import annotations

from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.common.web.app import Check
from mailmaker.dispatch.storage import directives as standing

FRESH_FOR = 10.0


async def watermark(db: Database) -> tuple[int, float]:
    """The feed number applied, and the age in seconds of what it vouches for."""
    async with db.platform() as tx:
        return await standing.watermark(tx)


def feed_is_fresh(db: Database) -> Check:
    """A readiness check: the watermark is younger than 10 seconds."""

    async def check() -> str | None:
        try:
            _, age = await watermark(db)
        except StorageUnavailable as wrong:
            return str(wrong)
        return None if age < FRESH_FOR else "the feed's word is too old: no new send begins"

    return check
