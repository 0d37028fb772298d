"""contacts.actions.whose_contact: whose contact an id is, or was: what the link of an old mail is still about."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.internal import ContactRow, SamePerson
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.tell import hexed
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.contact import Contact
from mailmaker.contacts.domain.protection import keys_for
from mailmaker.contacts.storage import contacts, history, merges


async def contact_row(house: Contacts, contact_id: UUID) -> ContactRow | None:
    """Whose contact an id is, or was before it left its list, for another house: keys, no addresses.

    A person says "no" by the link of an old mail also when a file has removed them meanwhile; the next file may bring
    them back, as another contact with the same address. And when their record has become part of another one: then the
    word is meant for that one."""
    async with house.db.platform() as tx:
        c = await contacts.anywhere(tx, contact_id) or await as_left(house, tx, contact_id)
        if c is None:
            return None
        became = (await merges.merged_into(tx, c.account_id, [contact_id])).get(contact_id, ())
        others = [await contacts.anywhere(tx, one) or await as_left(house, tx, one) for one in became]
    fkey = c.values.get("fkey")
    return ContactRow(
        account_id=c.account_id,
        list_id=c.list_id,
        contact_id=contact_id,
        email_key=hexed(c.keys.email),
        mobile_key=hexed(c.keys.mobile),
        fkey=None if fkey is None else str(fkey),
        merged_into=tuple(
            SamePerson(contact_id=one.id, email_key=hexed(one.keys.email), mobile_key=hexed(one.keys.mobile))
            for one in others
            if one is not None
        ),
    )


async def as_left(house: Contacts, tx: Transaction, contact_id: UUID) -> Contact | None:
    """A contact as it was when it left its list: what a "no" may name it by, and nobody who was erased. Consent and
    times are not among what is known."""
    gone = await history.departed(tx, contact_id)
    if gone is None:
        return None
    return Contact(
        gone.account_id,
        gone.list_id,
        contact_id,
        "",
        {"email": gone.email, "mobile": gone.mobile, "fkey": gone.fkey},
        {},
        Consent.UNSUBSCRIBED,
        Consent.UNSUBSCRIBED,
        keys_for(house.pepper, gone.account_id, gone.list_id, gone.email, gone.mobile, gone.fkey),
        _UNKNOWN,
        _UNKNOWN,
        0,
    )


_UNKNOWN = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
