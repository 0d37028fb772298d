"""contacts.actions.apply_import: plans a staged file and applies it, in one transaction: the old list or the new one."""

from __future__ import annotations

import struct
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.contacts import ImportApplied, ImportPlanned
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.actions import lift_opt_outs
from mailmaker.contacts.actions.apply_opt_outs import apply_opt_outs
from mailmaker.contacts.actions.follow_suppressions import FollowSuppressions
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.key_rows import Keyer, key_rows
from mailmaker.contacts.actions.read_by_line import Found, NotRead, find, pulled
from mailmaker.contacts.actions.tell_imports import held_back, report, tell
from mailmaker.contacts.domain.guards import Guarded, guard, still_guarded, unlike_shown
from mailmaker.contacts.domain.plans import Counts, Plan, Unmatched, counted
from mailmaker.contacts.storage import by_line, lifting, lists, nos, planning, plans, shown

LOCK_WAIT = 600.0


async def apply_import(
    house: Contacts, follow: FollowSuppressions, account_id: UUID, import_id: UUID
) -> bool:
    """Takes one import as far as it may go. False when another process has it.

    Raises Unreachable when ingest or suppression do not answer: nothing has happened then, and it is tried again.
    """
    # A "no" said before the file came must protect its row; one said later waits for our lock and meets the new row.
    await follow.catch_up()
    async with house.db.account(account_id) as tx:
        plan = await plans.take(tx, account_id, import_id)
        if plan is None:
            return False
        if plan.options.mode == "opt_out":
            await apply_opt_outs(house, tx, plan)
            return True
        await planning.prepare(tx, plan)
        came = await _told(house, tx, plan)
        await nos.share(tx, account_id)
        applies = plan.options.apply == "auto" or plan.state == "approved"
        if applies:
            await lists.stop_writes(tx, plan.list_id, wait=LOCK_WAIT)
        it = await lists.one(tx, account_id, plan.list_id)
        if it is None or it.closed:
            await _too_late(house, tx, plan)
            return True
        try:
            found = await _found(house, tx, plan, came)
        except NotRead as wrong:
            await _fail(tx, plan, (wrong.code, wrong.detail), house.clock.now())
            return True
        plan = found.plan
        received = found.received - await _compare(house, tx, plan, found.unmatched)
        await key_rows(house, tx, plan)
        counts = counted(plan.options, received=received, **await planning.counts(tx))
        expected = await lift_opt_outs.expected(tx, plan, counts)
        await _conclude(house, tx, plan, expected, protected=counts, applies=applies)
        if applies and plan.options.learns and found.unmatched.known > counts.updated + counts.protected:
            await by_line.learn(tx, plan)
    return True


async def _told(house: Contacts, tx: Transaction, plan: Plan) -> int:
    """What ingest tells of the file: its lines, or an outline of its rows. Returns how many."""
    if plan.options.by_line:
        async with pulled(house, plan.account_id, plan.import_id, "lines") as source:
            return await by_line.receive(tx, source)
    async with pulled(house, plan.account_id, plan.import_id, "outline", form="binary") as source:
        return await planning.receive_outline(tx, source)


async def _found(house: Contacts, tx: Transaction, plan: Plan, came: int) -> Found:
    """The rows that the list does not hold as they are."""
    if plan.options.by_line:
        return await find(house, tx, plan, came)
    return Found(plan, await planning.match(tx, plan), came)


async def _compare(house: Contacts, tx: Transaction, plan: Plan, unmatched: Unmatched) -> int:
    """Pulls the rows that the list does not hold as they are, and finds what they change. Returns how many of them did
    not come: the counts of such a plan do not add up, and it fails."""
    missing = 0
    if unmatched.rows:
        places, asked = None, plan.options.staged
        if unmatched.few_of(plan.options.staged):
            found = await planning.places(tx)
            places, asked = struct.pack(f"<{len(found)}q", *found), len(found)
        async with pulled(house, plan.account_id, plan.import_id, "staged", places) as source:
            if unmatched.makes_all(plan.options):
                keyer = Keyer(house.pepper, plan.account_id)
                found_rows = await planning.receive_made(tx, keyer.made(source))
            else:
                found_rows = await planning.receive_rows(tx, source)
            missing = max(0, asked - found_rows)
    await planning.compare(tx, plan, unmatched)
    return missing


async def _conclude(
    house: Contacts, tx: Transaction, plan: Plan, counts: Counts, *, protected: Counts, applies: bool
) -> None:
    """`protected`: the counts as long as nothing is lifted; the same where the import asks for nothing to be."""
    now = house.clock.now()
    guarded = await _held(tx, plan, counts)
    if guarded is None and applies:
        await planning.keep_rows(tx, plan, applied=True)
        if plan.state == "approved":
            guarded = unlike_shown(await shown.unseen(tx, plan) or await lift_opt_outs.unseen(tx, plan))
    if guarded is not None:
        await held_back(tx, plan, guarded, counts, now)
        if guarded.state == "quarantined":
            await _show(tx, plan)
        return
    if plan.state == "staged":
        tx.stage(
            ImportPlanned(
                account_id=plan.account_id,
                occurred_at=now,
                list_id=plan.list_id,
                import_id=plan.import_id,
                counts=counts.named(),
            )
        )
    if not applies:
        await _show(tx, plan)
        await plans.settle(tx, plan, "planned", counts, now)
        report(tx, plan, "planned", counts.named(), now)
        return
    removes = plan.options.mode == "full"
    await planning.write(tx, plan, now, removes=removes)
    await tell(tx, plan, now, removes=removes)
    await plans.settle(tx, plan, "applied", counts, now)
    if await lift_opt_outs.ask(tx, plan):
        # Who is to come back is out until suppression has said so: conclude_imports tells.
        await lifting.recount(tx, plan, protected)
        return
    tx.stage(
        ImportApplied(
            account_id=plan.account_id,
            occurred_at=now,
            list_id=plan.list_id,
            import_id=plan.import_id,
            counts=counts.named(),
            applied_at=now,
        )
    )
    report(tx, plan, "applied", counts.named(), now)


async def _held(tx: Transaction, plan: Plan, counts: Counts) -> Guarded | None:
    known = await planning.known(tx, plan)
    if plan.state == "approved" and plan.counts is not None:
        return still_guarded(plan.counts, counts, plan.options, known)
    return guard(counts, plan.options, known)


async def _too_late(house: Contacts, tx: Transaction, plan: Plan) -> None:
    """The list was closed while its file waited."""
    error = ("list.unknown", "the list was closed since; nothing of the file has been applied")
    await _fail(tx, plan, error, house.clock.now())


async def _fail(tx: Transaction, plan: Plan, error: tuple[str, str], now: datetime) -> None:
    await plans.settle(tx, plan, "failed", None, now, error)
    report(tx, plan, "failed", {}, now, error)


async def _show(tx: Transaction, plan: Plan) -> None:
    await planning.keep_rows(tx, plan, applied=False)
    if plan.options.basis is not None:
        await lifting.show(tx, plan)
