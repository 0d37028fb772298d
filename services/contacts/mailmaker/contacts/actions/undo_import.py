"""contacts.actions.undo_import: takes an applied import back, as far as nobody has written since, in one transaction."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.contracts.contacts import ContactsRestored, ImportUndone
from mailmaker.common.contracts.event import CHUNK
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.actions.apply_import import LOCK_WAIT
from mailmaker.contacts.actions.follow_suppressions import FollowSuppressions
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.key_rows import key_rows
from mailmaker.contacts.actions.lift_opt_outs import take_back
from mailmaker.contacts.actions.tell_imports import report, tell
from mailmaker.contacts.domain.plans import Plan
from mailmaker.contacts.storage import lists, nos, planning, plans, undos


async def ask_undo(house: Contacts, account_id: UUID, import_id: UUID) -> bool:
    """Somebody wants an applied import back. False where there is none."""
    async with house.db.account(account_id) as tx:
        asked = await undos.ask(tx, account_id, import_id)
    house.import_waits.set()
    return asked


async def undo_import(house: Contacts, follow: FollowSuppressions, account_id: UUID, import_id: UUID) -> bool:
    """Restores each field that still is as the import left it, brings removed contacts back under their ids, and
    removes created ones that nobody has written since. Raises no consent, and puts out again whom the import brought back;
    brings back nobody who was erased.

    False when another process has it. Raises Unreachable when suppression does not answer: nothing has happened then.
    """
    await follow.catch_up()
    async with house.db.account(account_id) as tx:
        plan = await plans.take(tx, account_id, import_id)
        if plan is None:
            return False
        await nos.share(tx, account_id)
        await lists.stop_writes(tx, plan.list_id, wait=LOCK_WAIT)
        it = await lists.one(tx, account_id, plan.list_id)
        if it is None or it.closed:
            error = ("list.unknown", "the list was closed since: there is nothing to bring back")
            await undos.give_up(tx, plan, error)
            return True
        await undos.compare(tx, plan, it.key)
        await key_rows(house, tx, plan)
        await _restore(house, tx, plan)
    return True


async def _restore(house: Contacts, tx: Transaction, plan: Plan) -> None:
    now = house.clock.now()
    counts = await undos.judge(tx, plan)
    await take_back(tx, plan, now)
    await planning.write(tx, plan, now, removes=True)
    about = {"account_id": plan.account_id, "occurred_at": now, "list_id": plan.list_id}
    # Comes before they are told as changed: who stopped their mail when they left takes that back.
    async for ids in undos.restored(tx, CHUNK):
        tx.stage(ContactsRestored.model_validate({**about, "contact_ids": ids}))
    await tell(tx, plan, now, removes=True)
    tx.stage(
        ImportUndone.model_validate(
            {**about, "import_id": plan.import_id, "counts": counts, "undone_at": now}
        )
    )
    await undos.done(tx, plan, counts, now)
    report(tx, plan, "undone", {}, now)
