"""contacts.actions.run_imports: the worker that takes staged files through plan and application."""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable
from uuid import UUID

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import StorageUnavailable, Transaction
from mailmaker.common.web.internal import Unreachable
from mailmaker.contacts.actions.apply_import import apply_import
from mailmaker.contacts.actions.conclude_imports import conclude
from mailmaker.contacts.actions.follow_suppressions import FollowSuppressions
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.tell_imports import report
from mailmaker.contacts.actions.undo_import import undo_import
from mailmaker.contacts.actions.waiting import work_off
from mailmaker.contacts.domain.plans import Plan
from mailmaker.contacts.storage import opt_outs, plans, undos

LOOK_EVERY = 0.5
MOST_FAILURES = 5
PAUSES = (0.5, 2.0)


Work = Callable[[Contacts, FollowSuppressions, UUID, UUID], Awaitable[bool]]


class RunImports:
    """A worker; a few may run at once, in any number of processes. The row of an import is held while it is worked on:
    when a process dies, another takes the import from its beginning."""

    def __init__(self, house: Contacts, follow: FollowSuppressions, number: int = 1) -> None:
        self.name = f"run_imports_{number}"
        self._house = house
        self._follow = follow

    async def run(self, stop: asyncio.Event) -> None:
        await work_off("imports", self.step, stop, self._house.import_waits, LOOK_EVERY)

    async def step(self) -> bool:
        """Works on the first import that waits and that nobody else has. False when there is none."""
        async with self._house.db.platform() as tx:
            waiting = await plans.due(tx)
            recording = await opt_outs.recording(tx)
        for account_id, import_id, undoing in waiting:
            if await self._one(account_id, import_id, undo_import if undoing else apply_import):
                return True
        for account_id, import_id in recording:
            if await self._one(account_id, import_id, conclude):
                return True
        return False

    async def _one(self, account_id: UUID, import_id: UUID, work: Work) -> bool:
        log = logger("contacts.actions")
        try:
            return await work(self._house, self._follow, account_id, import_id)
        except (Unreachable, StorageUnavailable) as wrong:
            log.info("import waits", import_id=str(import_id), reason=str(wrong))
            await self._later(account_id, import_id, counted=False)
        except Exception as wrong:
            # Nothing of it has happened: the transaction is gone. What fails again and again is told to the client.
            # Where it fell, but not what it said: PostgreSQL repeats the offending row in its messages.
            where = traceback.extract_tb(wrong.__traceback__)[-1]
            log.warning(
                "import fell",
                import_id=str(import_id),
                error=type(wrong).__name__,
                where=f"{where.name}:{where.lineno}",
            )
            await self._later(account_id, import_id, counted=True)
        return False

    async def _later(self, account_id: UUID, import_id: UUID, *, counted: bool) -> None:
        async with self._house.db.account(account_id) as tx:
            tries = await plans.again(tx, account_id, import_id, random.uniform(*PAUSES), counted=counted)
            if tries is None or tries < MOST_FAILURES:
                return
            plan = await plans.take(tx, account_id, import_id)
            if plan is None:
                return
            await self._give_up(tx, plan)

    async def _give_up(self, tx: Transaction, plan: Plan) -> None:
        if plan.state == "undoing":
            detail = "the import could not be undone; nothing of it has been; this is our fault"
            await undos.give_up(tx, plan, ("undo.failed", detail))
            return
        now = self._house.clock.now()
        error = ("import.failed", "the file could not be applied; nothing of it has been; this is our fault")
        await plans.settle(tx, plan, "failed", None, now, error)
        report(tx, plan, "failed", {}, now, error)
