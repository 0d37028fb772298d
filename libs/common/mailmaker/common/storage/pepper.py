"""common.storage.pepper: a schema is served only with the pepper its address keys were made with."""

from __future__ import annotations

from mailmaker.common.storage.engine import Database, StorageUnavailable

_FIRST = "INSERT INTO pepper (check_value) VALUES ($1) ON CONFLICT DO NOTHING"
_FOUND = "SELECT check_value FROM pepper"


class WrongPepper(RuntimeError):
    """Address keys were made with another MAILMAKER_PEPPER: nothing would be found again. A refusal, not a log line."""


class GuardPepper:
    """A resource and a readiness check. With PostgreSQL away at the start, the check refuses instead of the start."""

    def __init__(self, db: Database, check: str) -> None:
        self._db = db
        self._check = check
        self._same = False

    async def open(self) -> None:
        """Raises WrongPepper: no opt-out would be found again under other keys."""
        try:
            await self._look()
        except StorageUnavailable:
            return

    async def close(self) -> None:
        return None

    async def ready(self) -> str | None:
        """None when the peppers agree."""
        try:
            await self._look()
        except (StorageUnavailable, WrongPepper) as wrong:
            return str(wrong)
        return None

    async def _look(self) -> None:
        if self._same:
            return
        async with self._db.platform() as tx:
            await tx.driver.execute(_FIRST, self._check)
            if await tx.driver.fetchval(_FOUND) != self._check:
                raise WrongPepper("MAILMAKER_PEPPER is not the one this schema was begun with")
        self._same = True
