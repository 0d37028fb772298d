"""contacts.actions.lift_opt_outs: an import with a stated lawful basis brings back who opted out of its list, nobody else.

suppression decides: it lifts what is this list's own opt-out and was not said again since the file came. Consents are
raised after its answer, and only where no "no" stands any more.
"""

from __future__ import annotations

import json
from datetime import datetime

from mailmaker.common.contracts.contacts import ContactsChanged
from mailmaker.common.contracts.event import CHUNK
from mailmaker.common.contracts.internal import No, Release
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.tell import NOS, hexed
from mailmaker.contacts.actions.tell_imports import changes_of
from mailmaker.contacts.domain.lifting import channels, not_after, with_lifted
from mailmaker.contacts.domain.plans import Counts, Plan
from mailmaker.contacts.storage import lifting, opt_outs

LANE = opt_outs.LANE
RELEASES = "/internal/releases"


async def expected(tx: Transaction, plan: Plan, counts: Counts) -> Counts:
    """The counts of a plan if suppression lifts what may be lifted. Comes once every row is keyed."""
    bound = not_after(plan.options)
    if bound is None:
        return counts
    created, updated = await lifting.find(tx, plan, channels(plan.options), bound)
    return with_lifted(counts, created=created, updated=updated)


async def unseen(tx: Transaction, plan: Plan) -> int:
    """How many people it would ask to lift that nobody was shown. Comes once the rows to be applied are kept."""
    return 0 if not_after(plan.options) is None else await lifting.unseen(tx, plan)


async def ask(tx: Transaction, plan: Plan) -> bool:
    """Leaves the releases for suppression with this commit. False where there is nothing to lift."""
    options, bound = plan.options, not_after(plan.options)
    if bound is None or options.basis is None or options.sent_by is None:
        return False
    asked, people = await lifting.keep(tx, plan)
    evidence = {"import": str(plan.import_id), "sent_by": str(options.sent_by), "people": str(people)}
    if options.basis.consented_at is not None:
        evidence["consented_at"] = options.basis.consented_at.isoformat()
    for start in range(0, len(asked), CHUNK):
        for suppression_id in asked[start : start + CHUNK]:
            item = Release(
                id=new_id(),
                account_id=plan.account_id,
                suppression_id=suppression_id,
                list_id=plan.list_id,
                not_after=bound,
                basis=options.basis.text,
                sent_by=options.sent_by,
                evidence=evidence,
            )
            tx.hand_over(LANE, RELEASES, item)
        await tx.write_staged()
    if asked:
        await opt_outs.await_answers(tx, plan)
    return bool(asked)


async def take_back(tx: Transaction, plan: Plan, at: datetime) -> None:
    """An import is being undone: whom it brought back is out again, by a "no" like any other. Comes before the contacts
    are written: who goes with the undo is out too."""
    if plan.options.basis is None:
        return
    async for rows in lifting.brought_back(tx, plan, CHUNK):
        for row in rows:
            item = No(
                id=new_id(),
                account_id=plan.account_id,
                channel=row["channel"],
                scope="list",
                door="file",
                reason="unsubscribe",
                contact_id=row["id"],
                list_id=plan.list_id,
                fkey=row["fkey"],
                address_key=hexed(row["address"]),
                received_at=at,
                evidence={"undone_import": str(plan.import_id)},
            )
            tx.hand_over("suppression", NOS, item)
        await tx.write_staged()


async def bring_back(tx: Transaction, plan: Plan, at: datetime) -> Counts:
    """Raises consents, once suppression has answered and its feed was heard. Returns the counts of what was done. The
    caller holds the account's and the list's locks."""
    counts = plan.applied or Counts(plan.options.rows)
    if plan.options.basis is None:
        return counts
    raised = await lifting.raise_consents(tx, plan, at)
    basis = plan.options.basis
    said = {"lawful_basis": basis.text, "sent_by": str(plan.options.sent_by)}
    if basis.consented_at is not None:
        said["consented_at"] = basis.consented_at.isoformat()
    created, updated = await lifting.settle(tx, plan, at, json.dumps(said))
    counts = with_lifted(counts, created=created, updated=updated)
    await lifting.recount(tx, plan, counts)
    for start in range(0, len(raised), CHUNK):
        rows = await lifting.contacts(tx, plan.account_id, raised[start : start + CHUNK])
        about = {"account_id": plan.account_id, "occurred_at": at, "list_id": plan.list_id}
        tx.stage(ContactsChanged.model_validate({**about, "contacts": changes_of(rows)}))
        await tx.write_staged()
    return counts
