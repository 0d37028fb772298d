"""contacts.actions.conclude_imports: an import that asked something of suppression is over when that has answered."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.contracts.contacts import ImportApplied
from mailmaker.contacts.actions.apply_import import LOCK_WAIT
from mailmaker.contacts.actions.follow_suppressions import FollowSuppressions
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.lift_opt_outs import bring_back
from mailmaker.contacts.actions.tell_imports import report
from mailmaker.contacts.storage import calling_off, lists, nos, opt_outs


async def conclude(house: Contacts, follow: FollowSuppressions, account_id: UUID, import_id: UUID) -> bool:
    """Tells that an import is applied, once suppression has every "no" and release of it and this house has heard them
    back: who is told so finds them recorded, and the consents as they are to be. False while some are on their way."""
    async with house.db.account(account_id) as tx:
        if await opt_outs.unanswered(tx, account_id, import_id):
            return False
        # Before the feed is read: what is answered from here on is in it.
        await calling_off.call_off_newer(tx, account_id, import_id)
    await follow.catch_up()
    async with house.db.account(account_id) as tx:
        found = await opt_outs.recorded(tx, account_id, import_id)
        if found is None:
            return False
        plan, applied_at = found
        now = house.clock.now()
        if plan.options.basis is not None:
            await nos.share(tx, account_id)
            await lists.stop_writes(tx, plan.list_id, wait=LOCK_WAIT)
        counts = (await bring_back(tx, plan, now)).named()
        tx.stage(
            ImportApplied(
                account_id=account_id,
                occurred_at=now,
                list_id=plan.list_id,
                import_id=import_id,
                counts=counts,
                applied_at=applied_at,
            )
        )
        report(tx, plan, "applied", counts, now)
    house.import_waits.set()
    return True
