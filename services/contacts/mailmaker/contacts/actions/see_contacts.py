"""contacts.actions.see_contacts: reads a contact, plans, and what other houses ask."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from mailmaker.common.contracts.internal import CustomField, ListRow
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.storage.keyset import Page, decode_cursor, encode_cursor
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.contact_shapes import (
    ContactView,
    CountsView,
    FaultView,
    LawfulBasisView,
    PlanRowView,
    PlanView,
    UndoneView,
)
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.lists import see_list
from mailmaker.contacts.domain.fields import facts_by_names
from mailmaker.contacts.domain.lists import ContactList
from mailmaker.contacts.domain.plans import Counts, Plan
from mailmaker.contacts.errors import NoSuchThing
from mailmaker.contacts.storage import contacts, lifting, lists, plans


async def see_contact(house: Contacts, call: Call, list_id: UUID, contact_id: UUID) -> ContactView:
    async with house.db.account(call.account_id) as tx:
        of = await lists.one(tx, call.account_id, list_id)
        found = await contacts.one(tx, call.account_id, list_id, contact_id)
    if of is None or found is None:
        raise NoSuchThing("no such contact")
    return ContactView.of(found, of)


async def see_plan(house: Contacts, call: Call, import_id: UUID) -> PlanView:
    """What an import would do to its list, or did."""
    async with house.db.account(call.account_id) as tx:
        found = await plans.one(tx, call.account_id, import_id)
        basis = None if found is None else await _basis(tx, found[0])
    if found is None or (call.list_ids is not None and found[0].list_id not in call.list_ids):
        raise NoSuchThing("no plan of such an import")
    plan, row = found
    error = None
    if row["error_code"] is not None:
        error = FaultView(pointer="", code=row["error_code"], detail=row["error_detail"])
    return PlanView(
        import_id=import_id,
        list=plan.list_id,
        mode=plan.options.mode,
        state=plan.state,
        counts=_counts(plan.counts),
        applied=_counts(plan.applied),
        undone=UndoneView.model_validate_json(row["undone"]) if row["undone"] else None,
        lawful_basis=basis,
        error=error,
        staged_at=row["staged_at"],
        planned_at=row["planned_at"],
        applied_at=row["applied_at"],
        undone_at=row["undone_at"],
    )


async def _basis(tx: Transaction, plan: Plan) -> LawfulBasisView | None:
    said = plan.options.basis
    if said is None:
        return None
    people = await lifting.people(tx, plan.account_id, plan.import_id)
    return LawfulBasisView(
        text=said.text, consented_at=said.consented_at, sent_by=plan.options.sent_by, people=people
    )


def _counts(counts: Counts | None) -> CountsView | None:
    return None if counts is None else CountsView.model_validate(counts.named())


async def see_plan_rows(
    house: Contacts, call: Call, import_id: UUID, action: str | None, limit: int, cursor: str | None
) -> Page[PlanRowView]:
    """A plan's rows other than unchanged ones."""
    of = await see_list(house, call, (await see_plan(house, call, import_id)).list)
    position = decode_cursor(cursor) if cursor else ("", str(NOBODY))
    after = (str(position[0]), UUID(str(position[-1])))
    async with house.db.account(call.account_id) as tx:
        found = await plans.rows(tx, call.account_id, import_id, action, after, limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    more = encode_cursor(last["action"], str(last["contact_id"])) if last else None
    return Page(items=[_plan_row(row, of) for row in found[:limit]], next=more)


def _plan_row(row: dict[str, Any], of: ContactList) -> PlanRowView:
    return PlanRowView.model_validate(
        {
            "action": row["action"],
            "contact": row["contact_id"],
            "line": row["line"],
            "before": facts_by_names(row["before"], of),
            "after": facts_by_names(row["after"], of),
            "undone": row["undone"],
        }
    )


async def list_row(house: Contacts, list_id: UUID) -> ListRow | None:
    """A list of any account, for another house."""
    async with house.db.platform() as tx:
        it = await lists.anywhere(tx, list_id)
    if it is None:
        return None
    return ListRow(
        account_id=it.account_id,
        list_id=it.id,
        name=it.name,
        key_kind=it.key.value,
        default_country=it.default_country,
        timezone=it.timezone,
        controller=it.controller,
        caps=it.caps,
        closed=it.closed,
        version=it.version,
        fields=tuple(
            CustomField(name=f.name, type=f.type.value, values=f.values, key=f.key) for f in it.fields
        ),
    )
