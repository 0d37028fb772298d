"""contacts.actions.guard_pepper: refuses to start on address keys that were made with another pepper."""

from __future__ import annotations

from mailmaker.common.feed import WrongPepper
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.contacts.storage import pepper


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
            if await pepper.first_or_found(tx, self._check) != self._check:
                raise WrongPepper("MAILMAKER_PEPPER is not the one this schema was begun with")
        self._same = True
