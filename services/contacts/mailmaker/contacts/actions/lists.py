"""contacts.actions.lists: opens, changes and closes lists, and their caps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.contacts import CapPolicy, ContactsRemoved, Controller, ListChanged
from mailmaker.common.contracts.event import CHUNK
from mailmaker.common.mail.address import InvalidAddress, canonical_address
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import NOBODY, new_id
from mailmaker.common.storage.keyset import Page, decode_cursor, encode_cursor
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.exports import CLOSED as EXPORT_CLOSED
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.shapes import ListChange, ListView, ListWish
from mailmaker.contacts.domain.lists import (
    MOST_LISTS,
    ContactList,
    KeyKind,
    cap_faults,
    is_timezone,
)
from mailmaker.contacts.errors import NoSuchThing, Stale, TooManyLists, wrong_fields
from mailmaker.contacts.storage import accounts, contacts, exports, lists


async def open_list(house: Contacts, call: Call, wish: ListWish) -> ListView:
    """Opens a list without caps. Raises TooManyLists above the account's quota (500 unless the operator set another)."""
    controller = _checked(wish.timezone, wish.controller)
    now = house.clock.now()
    async with house.db.write(call, "list.opened") as tx:
        if (first := tx.replayed(ListView)) is not None:
            return first
        # The account's row is the lock that makes counting and adding one step.
        account = await accounts.account(tx, call.account_id, lock=True)
        most = MOST_LISTS if account is None else account.most_lists
        if await lists.count(tx, call.account_id) >= most:
            raise TooManyLists(f"the account may have {most} open lists; close one, or ask for more")
        it = ContactList(
            call.account_id,
            new_id(),
            wish.name,
            KeyKind(wish.key),
            wish.default_country,
            wish.timezone,
            controller or wish.controller,
            CapPolicy(),
            now,
            now,
            1,
        )
        await lists.insert(tx, it)
        _tell(tx, it)
        return await tx.keep(ListView.of(it))


async def change_list(
    house: Contacts, call: Call, list_id: UUID, change: ListChange, version: int | None
) -> ListView:
    """Changes what is named. Raises Stale when `version` (If-Match) is not the present one."""
    controller = _checked(change.timezone, change.controller)
    async with house.db.write(call, "list.changed") as tx:
        it = await held_list(tx, call, list_id, version)
        it = replace(
            it,
            name=change.name or it.name,
            default_country=change.default_country or it.default_country,
            timezone=change.timezone or it.timezone,
            controller=controller or it.controller,
        )
        return ListView.of(await save_list(tx, it, house.clock.now()))


async def set_caps(
    house: Contacts, call: Call, list_id: UUID, policy: CapPolicy, version: int | None
) -> ListView:
    """Replaces the cap policy. It holds for running mailings as soon as dispatch has heard of it."""
    if faults := cap_faults(policy):
        raise wrong_fields(faults)
    async with house.db.write(call, "list.caps_changed") as tx:
        it = replace(await held_list(tx, call, list_id, version), caps=policy)
        return ListView.of(await save_list(tx, it, house.clock.now()))


async def close_list(house: Contacts, call: Call, list_id: UUID) -> None:
    """Closes a list and removes its contacts: queued mail to them is cancelled. What they said "no" to stays."""
    async with house.db.write(call, "list.closed") as tx:
        it = await held_list(tx, call, list_id, None)
        await lists.stop_writes(tx, list_id, wait=900)
        gone = await contacts.empty(tx, call.account_id, list_id)
        now = house.clock.now()
        await exports.take_back(tx, call.account_id, list_id, EXPORT_CLOSED, for_good=True)
        await save_list(tx, replace(it, closed=True), now)
        for i in range(0, len(gone), CHUNK):
            tx.stage(
                ContactsRemoved(
                    account_id=call.account_id,
                    occurred_at=now,
                    list_id=list_id,
                    contact_ids=tuple(gone[i : i + CHUNK]),
                )
            )


async def see_list(house: Contacts, call: Call, list_id: UUID) -> ContactList:
    """An open list. Raises NoSuchThing for a closed one and for another account's."""
    async with house.db.account(call.account_id) as tx:
        it = await lists.one(tx, call.account_id, list_id)
    if it is None or it.closed:
        raise NoSuchThing("no such list")
    return it


async def see_lists(house: Contacts, call: Call, limit: int, cursor: str | None) -> Page[ListView]:
    """The account's open lists, oldest first; a key limited to some lists sees those."""
    after = UUID(str(decode_cursor(cursor)[0])) if cursor else NOBODY
    async with house.db.account(call.account_id) as tx:
        found = await lists.after(tx, call.account_id, after, limit + 1)
    more = encode_cursor(str(found[limit - 1].id)) if len(found) > limit else None
    seen = [it for it in found[:limit] if call.list_ids is None or it.id in call.list_ids]
    return Page(items=[ListView.of(it) for it in seen], next=more)


async def held_list(tx: Transaction, call: Call, list_id: UUID, version: int | None) -> ContactList:
    """An open list, its row locked until the commit. Raises NoSuchThing, Stale."""
    it = await lists.one(tx, call.account_id, list_id, lock=True)
    if it is None:
        raise NoSuchThing("no such list")
    if version is not None and version != it.version:
        raise Stale("the list has changed since; read it again")
    return it


async def save_list(tx: Transaction, it: ContactList, now: datetime) -> ContactList:
    """Writes a list's next version and tells it."""
    it = replace(it, changed_at=now, version=it.version + 1)
    await lists.update(tx, it)
    _tell(tx, it)
    return it


def _tell(tx: Transaction, it: ContactList) -> None:
    tx.subject(it.id)
    tx.stage(
        ListChanged(
            account_id=it.account_id,
            occurred_at=it.changed_at,
            list_id=it.id,
            name=it.name,
            key_kind=it.key.value,
            default_country=it.default_country,
            timezone=it.timezone,
            controller=it.controller,
            caps=it.caps,
            closed=it.closed,
            version=it.version,
        )
    )


def _checked(timezone: str | None, controller: Controller | None) -> Controller | None:
    """The controller with a canonical address. Raises WrongFields naming every fault."""
    faults: list[tuple[str, str, str]] = []
    if timezone is not None and not is_timezone(timezone):
        faults.append(("/timezone", "timezone.unknown", "not an IANA time zone"))
    if controller is not None:
        try:
            controller = Controller(name=controller.name, email=canonical_address(controller.email))
        except InvalidAddress as wrong:
            faults.append(("/controller/email", wrong.code, wrong.detail))
    if faults:
        raise wrong_fields(faults)
    return controller
