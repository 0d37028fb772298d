"""contacts.actions.erase_contact: forgets a person, here and in every house."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.storage.engine import Transaction
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.exports import ERASED
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.tell import tell_erased
from mailmaker.contacts.actions.whose_contact import as_left
from mailmaker.contacts.actions.write_contacts import list_for
from mailmaker.contacts.domain.contact import Contact
from mailmaker.contacts.domain.lists import ContactList, key_text
from mailmaker.contacts.domain.protection import subjects
from mailmaker.contacts.errors import NoSuchThing, person_is
from mailmaker.contacts.storage import contacts, engagement, exports, history, lists, merges, nos
from pydantic import BaseModel


class Erased(BaseModel):
    """What a repeat of the call is known by."""

    contact: UUID


async def erase(house: Contacts, call: Call, list_id: UUID, contact_id: UUID) -> None:
    """Forgets a person, also one who has left the list: what stays is a keyed hash that keeps whoever brings the address
    back from being subscribed.

    What the list's past says of the person goes too, also under an earlier record, under one that was merged into this
    one, and in plans not yet applied. The other houses hear of it by the contact's id. Raises NoSuchThing; PersonElsewhere
    where the list has the person as another contact: that one is to be named, and this record goes with it.
    Files of the list that were exported may name the person, and go; one under way is begun again.
    """
    now = house.clock.now()
    async with house.db.write(call, "contact.erased") as tx:
        if tx.replayed(Erased) is not None:
            return
        records = await _records(house, tx, call, list_id, contact_id)
        # A look through the list's whole past takes its time: before the locks.
        past = await history.records_of(tx, call.account_id, list_id, records)
        await nos.alone(tx, call.account_id)
        of = await list_for(tx, call, list_id)
        await lists.share_writes(tx, of.id)
        here = await contacts.by_ids(tx, call.account_id, list_id, [contact_id])
        if here:
            records[0] = here[0]
        else:
            await _elsewhere(tx, of, records[0])
        ids = [*(one.id for one in records), *past]
        await nos.bury(tx, call.account_id, now, sorted({stone for one in records for stone in _stones(one)}))
        await contacts.delete(tx, call.account_id, [contact_id])
        await history.forget(tx, call.account_id, ids)
        await engagement.forget(tx, call.account_id, ids)
        await exports.take_back(tx, call.account_id, list_id, ERASED, account=True)
        tell_erased(tx, of, records, past, now)
        tx.subject(contact_id)
        await tx.keep(Erased(contact=contact_id))


async def _records(
    house: Contacts, tx: Transaction, call: Call, list_id: UUID, contact_id: UUID
) -> list[Contact]:
    """The contact as it is, or was when it left, and then each record that was merged into it."""
    known = await contacts.one(tx, call.account_id, list_id, contact_id) or await as_left(
        house, tx, contact_id
    )
    if known is None or (known.account_id, known.list_id) != (call.account_id, list_id):
        raise NoSuchThing("no such contact")
    parts = [await as_left(house, tx, one) for one in await merges.parts(tx, call.account_id, contact_id)]
    return [known, *(part for part in parts if part is not None)]


async def _elsewhere(tx: Transaction, of: ContactList, gone: Contact) -> None:
    """Raises PersonElsewhere: a person is not half forgotten."""
    became = (await merges.merged_into(tx, of.account_id, [gone.id])).get(gone.id)
    if became:
        raise person_is(became[-1])
    key = key_text(of.key, *(None if v is None else str(v) for v in gone.addresses))
    if key and (holder := await contacts.holder(tx, of.account_id, of.id, key, but=gone.id)):
        raise person_is(holder)


def _stones(c: Contact) -> list[tuple[str, bytes]]:
    """Every key that would meet the person again. A contact's id never comes back."""
    found = [(channel, s) for channel in ("email", "sms") for s in subjects(c, channel)]
    return [(channel, s) for channel, s in found if not s.startswith(b"c")]
