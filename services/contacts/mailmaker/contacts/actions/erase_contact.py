"""contacts.actions.erase_contact: forgets a person, here and in every house."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.contacts import held
from mailmaker.contacts.actions.exports import ERASED
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.tell import tell_erased
from mailmaker.contacts.domain.contact import Contact
from mailmaker.contacts.domain.protection import subjects
from mailmaker.contacts.errors import NoSuchThing
from mailmaker.contacts.storage import contacts, engagement, exports, history, nos
from pydantic import BaseModel


class Erased(BaseModel):
    """What a repeat of the call is known by."""

    contact: UUID


async def erase(house: Contacts, call: Call, list_id: UUID, contact_id: UUID) -> None:
    """Forgets a person: what stays is a keyed hash that keeps whoever brings the address back from being subscribed.

    What the list's past says of it goes too, also under an earlier record of the person, and in plans not yet applied.
    Files of the list that were exported may name the person, and go; one under way is begun again.
    The other houses hear of it by the contact's id.
    """
    now = house.clock.now()
    async with house.db.write(call, "contact.erased") as tx:
        if tx.replayed(Erased) is not None:
            return
        known = await contacts.one(tx, call.account_id, list_id, contact_id)
        if known is None:
            raise NoSuchThing("no such contact")
        # A look through the list's whole past takes its time: before the locks.
        past = await history.records_of(tx, call.account_id, list_id, contact_id, known)
        await nos.alone(tx, call.account_id)
        of, before = await held(tx, call, list_id, contact_id)
        address_keys = [s for channel in ("email", "sms") for s in _stones(before, channel)]
        await nos.bury(tx, call.account_id, now, address_keys)
        await contacts.delete(tx, call.account_id, [contact_id])
        await history.forget(tx, call.account_id, [contact_id, *past])
        await engagement.forget(tx, call.account_id, [contact_id, *past])
        await exports.take_back(tx, call.account_id, list_id, ERASED, account=True)
        tell_erased(tx, of, before, past, now)
        tx.subject(contact_id)
        await tx.keep(Erased(contact=contact_id))


def _stones(c: Contact, channel: str) -> list[tuple[str, bytes]]:
    """Every key that would meet the person again. A contact's id never comes back."""
    found = subjects(c, "email" if channel == "email" else "sms")
    return [(channel, s) for s in found if not s.startswith(b"c")]
