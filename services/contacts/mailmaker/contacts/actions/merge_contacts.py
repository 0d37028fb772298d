"""contacts.actions.merge_contacts: two records of one person in one list become one; a "no" of either stays in force."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.contact_shapes import MergeView, MergeWish
from mailmaker.contacts.actions.follow_suppressions import FollowSuppressions
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.write_contacts import (
    Note,
    changed_fields,
    list_for,
    rekeyed,
    save,
    standing,
    unheard,
)
from mailmaker.contacts.domain.contact import said_again, said_no
from mailmaker.contacts.domain.lists import key_text
from mailmaker.contacts.domain.merge import keep_faults, merged
from mailmaker.contacts.domain.protection import protected
from mailmaker.contacts.errors import NoSuchThing, SameContact, wrong_fields
from mailmaker.contacts.storage import contacts, lists, nos


async def merge(house: Contacts, call: Call, list_id: UUID, contact_id: UUID, wish: MergeWish) -> MergeView:
    """Makes two contacts of a list one, under the first one's id; the other one is removed and its mail cancelled.

    Raises NoSuchThing, SameContact, WrongFields; Unreachable when suppression does not answer: a "no" that it has taken
    for either address is known before one of them goes. Where the merge lowers a consent, suppression hears the "no", so
    that mail of running mailings stops too.
    """
    now = house.clock.now()
    if wish.other == contact_id:
        raise SameContact("`other` is the same contact; name another one of the list")
    await FollowSuppressions(house).catch_up()
    async with house.db.write(call, "contact.merged") as tx:
        if (first := tx.replayed(MergeView)) is not None:
            return first
        of = await list_for(tx, call, list_id)
        if faults := keep_faults(wish.keep, of):
            raise wrong_fields(faults)
        await nos.share(tx, call.account_id)
        await lists.share_writes(tx, of.id)
        found = {
            c.id: c for c in await contacts.by_ids(tx, call.account_id, list_id, [contact_id, wish.other])
        }
        if contact_id not in found:
            raise NoSuchThing("no such contact")
        if wish.other not in found:
            raise wrong_fields([("/other", "contact.unknown", "the list has no such contact")])
        this, other = found[contact_id], found[wish.other]
        made = rekeyed(house.pepper, merged(this, other, wish.keep, of))
        key = key_text(of.key, *(None if v is None else str(v) for v in made.addresses))
        said = [(made, channel) for channel in said_no(this, made)]
        said += await unheard(tx, [(made, channel) for channel in said_again(this, other.consents)], now)
        made = protected(made, await standing(tx, [made]))
        made = replace(made, key_text=key or this.key_text, changed_at=now, version=this.version + 1)
        notes = {
            this.id: Note("merged", {"merged": str(other.id)}),
            other.id: Note("merged_away", {"merged_into": str(this.id)}),
        }
        spoken = [(made, channel) for _, channel in said]
        await save(tx, call, of, [(this, made), (other, None)], spoken, now, notes)
        tx.subject(contact_id)
        return await tx.keep(
            MergeView(
                id=made.id, removed=other.id, changed=changed_fields(of, this, made), version=made.version
            )
        )
