"""contacts.actions.apply_opt_outs: everybody an opt-out file names says "no": counted, shown, and handed to suppression."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mailmaker.common.contracts.contacts import ImportPlanned
from mailmaker.common.contracts.event import CHUNK
from mailmaker.common.contracts.internal import No
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.tell import NOS, hexed
from mailmaker.contacts.actions.tell_imports import held_back, report
from mailmaker.contacts.domain.guards import guard, still_guarded
from mailmaker.contacts.domain.opt_outs import Said, counted, said
from mailmaker.contacts.domain.plans import Plan
from mailmaker.contacts.domain.protection import keys_for
from mailmaker.contacts.storage import nos, opt_outs, planning, plans

LANE = opt_outs.LANE
AT_ONCE = 1_000


async def apply_opt_outs(house: Contacts, tx: Transaction, plan: Plan) -> None:
    """Plans the file, and where it may be applied leaves every "no" for suppression in the same commit: each once,
    whatever dies. The caller holds the plan. Raises Unreachable when ingest does not answer."""
    path = f"/internal/imports/{plan.import_id}/staged"
    async with house.ingest.stream(path, {"account": str(plan.account_id)}) as source:
        await opt_outs.receive(tx, source)
    await nos.share(tx, plan.account_id)
    async for rows in opt_outs.rows(tx, AT_ONCE):
        await opt_outs.add(tx, _said(house, plan, rows))
    newly, before = await opt_outs.judge(tx, plan)
    counts = counted(plan.options, newly=newly, before=before)
    now = house.clock.now()
    known = await planning.known(tx, plan)
    guarded = guard(counts, plan.options, known)
    if plan.state == "approved" and plan.counts is not None:
        guarded = still_guarded(plan.counts, counts, plan.options, known)
    applies = guarded is None and (plan.options.apply == "auto" or plan.state == "approved")
    if guarded is None or guarded.state == "quarantined":
        await opt_outs.keep_rows(tx, plan, applied=applies)
    if guarded is not None:
        await held_back(tx, plan, guarded, counts, now)
        return
    if plan.state == "staged":
        about = {"account_id": plan.account_id, "list_id": plan.list_id, "import_id": plan.import_id}
        tx.stage(ImportPlanned.model_validate({**about, "occurred_at": now, "counts": counts.named()}))
    await plans.settle(tx, plan, "applied" if applies else "planned", counts, now)
    if not applies:
        report(tx, plan, "planned", counts.named(), now)
        return
    async for chunk in opt_outs.said(tx, CHUNK):
        for one in chunk:
            tx.hand_over(LANE, NOS, _no(plan, one, now))
        await tx.write_staged()
    await opt_outs.await_answers(tx, plan)


def _said(house: Contacts, plan: Plan, rows: Sequence[Any]) -> list[Said]:
    found: list[Said] = []
    for row in rows:
        keys = keys_for(house.pepper, plan.account_id, plan.list_id, row["email"], row["mobile"], row["fkey"])
        found += said(row["line"], keys, row["fkey"], plan.options)
    return found


def _no(plan: Plan, one: Said, now: datetime) -> No:
    evidence = {"import": str(plan.import_id), "line": str(one.line)}
    if plan.options.sent_by is not None:
        evidence["sent_by"] = str(plan.options.sent_by)
    return No(
        id=new_id(),
        account_id=plan.account_id,
        channel=one.channel,
        scope=plan.options.scope,
        door="file",
        reason="unsubscribe",
        list_id=plan.list_id,
        fkey=one.fkey,
        address_key=hexed(one.address_key),
        received_at=plan.options.received_at or now,
        evidence=evidence,
    )
