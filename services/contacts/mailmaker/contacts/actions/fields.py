"""contacts.actions.fields: the custom fields of a list: added, renamed, retired, brought back. No contact is rewritten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.field_shapes import FieldChange, FieldsView, FieldsWish
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.lists import held_list, save_list, see_list
from mailmaker.contacts.domain.fields import Arranged, arranged, changed
from mailmaker.contacts.domain.lists import MOST_FIELDS, ContactList
from mailmaker.contacts.errors import NoSuchThing, wrong_fields
from mailmaker.contacts.storage import lists

WAIT = 60.0
"""Seconds to wait for writes of the list's contacts before looking what they hold."""


async def see_fields(house: Contacts, call: Call, list_id: UUID) -> FieldsView:
    """The fields a contact of the list may have."""
    return FieldsView.of(await see_list(house, call, list_id))


async def set_fields(house: Contacts, call: Call, list_id: UUID, wish: FieldsWish) -> FieldsView:
    """Makes these the fields in use. Values of a field that is retired stay with their contacts, unseen, until it comes
    back. Raises WrongFields, also for a type or an enum's value that contacts still hold."""
    wishes = [one.wish() for one in wish.fields]
    return await _rearrange(house, call, list_id, lambda of: arranged(of, wishes), "/fields")


async def change_field(
    house: Contacts, call: Call, list_id: UUID, field_id: str, change: FieldChange
) -> FieldsView:
    """Renames a field, retires it or brings it back, changes an enum's values. Raises NoSuchThing, WrongFields."""

    def after(of: ContactList) -> Arranged:
        if all(f.key != field_id for f in (*of.fields, *of.retired)):
            raise NoSuchThing("the list has no such field; see GET /v1/lists/{list}/fields")
        values = None if change.values is None else tuple(change.values)
        found = changed(of, field_id, change.name, values, change.retired)
        if len(found.fields) > MOST_FIELDS:
            fault = ("/retired", "field.too_many", f"a list has at most {MOST_FIELDS} fields in use")
            found = replace(found, faults=(*found.faults, fault))
        return found

    return await _rearrange(house, call, list_id, after, "")


async def _rearrange(
    house: Contacts, call: Call, list_id: UUID, after: Callable[[ContactList], Arranged], at: str
) -> FieldsView:
    async with house.db.write(call, "list.fields_changed") as tx:
        it = await held_list(tx, call, list_id, None)
        found = after(it)
        faults = list(found.faults)
        if found.checks and not faults:
            # Nobody may write a value while we look for it.
            await lists.stop_writes(tx, list_id, wait=WAIT)
            for check in found.checks:
                if many := await lists.holders(tx, it, check.key, check.but):
                    pointer, code, why = check.fault
                    faults.append((pointer, code, f"{why} ({many} contacts)"))
        if faults:
            raise wrong_fields([(f"{at}{pointer}", code, why) for pointer, code, why in faults])
        now = replace(it, fields=found.fields, retired=found.retired)
        await lists.replace_fields(tx, now)
        await save_list(tx, now, house.clock.now())
    return FieldsView.of(now)
