"""contacts.actions.contacts: the promises about single contacts and small batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from mailmaker.common.storage.engine import Transaction
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.contact_shapes import (
    BatchItem,
    BatchView,
    BatchWish,
    ContactView,
    ContactWish,
    UpsertView,
)
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.write_contacts import (
    changed_fields,
    list_for,
    rekeyed,
    save,
    standing,
    unheard,
    write_contacts,
)
from mailmaker.contacts.domain.consent import raises
from mailmaker.contacts.domain.contact import Contact, after, said_again, said_no
from mailmaker.contacts.domain.lists import ContactList, key_text
from mailmaker.contacts.domain.protection import protected
from mailmaker.contacts.domain.values import read
from mailmaker.contacts.errors import KeyTaken, NoSuchThing, Stale, key_taken, wrong_fields
from mailmaker.contacts.storage import contacts, lists, nos

TRIES = 4
T = TypeVar("T")


async def upsert(house: Contacts, call: Call, list_id: UUID, wish: ContactWish) -> UpsertView:
    """Writes one contact by its list's key. An opted-out contact stays opted out. Raises WrongFields."""

    async def once() -> UpsertView:
        async with house.db.write(call, "contact.written") as tx:
            of = await list_for(tx, call, list_id)
            (draft,) = await write_contacts(house, tx, call, of, [BatchItem(contact=wish)])
            if draft.faults or draft.now is None:
                raise wrong_fields(draft.faults)
            tx.subject(draft.now.id)
            result = draft.view(of).result
            return UpsertView.model_validate(
                {
                    "result": result,
                    "changed": changed_fields(of, draft.before, draft.now),
                    "contact": ContactView.of(draft.now, of),
                }
            )

    return await _again(once)


async def write_batch(house: Contacts, call: Call, list_id: UUID, wish: BatchWish) -> BatchView:
    """Writes or removes up to 1,000 contacts in one transaction; one result an item."""

    async def once() -> BatchView:
        async with house.db.write(call, "contacts.written") as tx:
            if (first := tx.replayed(BatchView)) is not None:
                return first
            of = await list_for(tx, call, list_id)
            drafts = await write_contacts(house, tx, call, of, wish.items)
            tx.subject(list_id)
            return await tx.keep(BatchView(items=[draft.view(of) for draft in drafts]))

    return await _again(once)


async def _again(once: Callable[[], Awaitable[T]]) -> T:
    """Two first writes of one contact meet at its key: the later one finds the contact when it looks again."""
    for _ in range(TRIES - 1):
        try:
            return await once()
        except KeyTaken:
            continue
    return await once()


async def change(
    house: Contacts, call: Call, list_id: UUID, contact_id: UUID, wish: ContactWish, version: int | None
) -> ContactView:
    """Changes what is named; a new address or key is the same contact's. A consent stays as it was said; what stands
    against the new address lowers it. Raises WrongFields (also for a consent that would rise), KeyTaken, Stale."""
    now = house.clock.now()
    async with house.db.write(call, "contact.changed") as tx:
        of, before = await held(tx, call, list_id, contact_id)
        if version is not None and version != before.version:
            raise Stale("the contact has changed since; read it again")
        wished, faults = read(wish.named(), of, now.date())
        for name, current, asked in (
            ("email_consent", before.email_consent, wished.email_consent),
            ("sms_consent", before.sms_consent, wished.sms_consent),
        ):
            if raises(current, asked):
                faults.append(
                    (f"/{name}", "consent.cannot_rise", "only the person's own confirmation raises a consent")
                )
        made = rekeyed(house.pepper, after(before, wished))
        key = key_text(of.key, *(None if v is None else str(v) for v in made.addresses))
        if key is None:
            faults.append((f"/{of.key}", "key.missing", "the list's key cannot be cleared"))
        if faults or key is None:
            raise wrong_fields(faults)
        again = [(made, channel) for channel in said_again(before, wished.consents)]
        said = [*((made, channel) for channel in said_no(before, made)), *await unheard(tx, again, now)]
        if made.keys != before.keys:
            made = protected(made, await standing(tx, [made]))
        if key != before.key_text and (
            holder := await contacts.holder(tx, call.account_id, list_id, key, but=contact_id)
        ):
            raise key_taken(of, contact_id, holder)
        made = replace(made, key_text=key)
        if made != before:
            made = replace(made, changed_at=now, version=before.version + 1)
        await save(tx, call, of, [(before, made)], [(made, channel) for _, channel in said], now)
        tx.subject(contact_id)
        return ContactView.of(made, of)


async def remove(house: Contacts, call: Call, list_id: UUID, contact_id: UUID) -> None:
    """Takes a contact off its list; queued mail to it is cancelled. Its "no"s and its history stay."""
    async with house.db.write(call, "contact.removed") as tx:
        of, before = await held(tx, call, list_id, contact_id)
        await save(tx, call, of, [(before, None)], [], house.clock.now())
        tx.subject(contact_id)


async def held(tx: Transaction, call: Call, list_id: UUID, contact_id: UUID) -> tuple[ContactList, Contact]:
    """A contact for a write, locked. Raises NoSuchThing."""
    of = await list_for(tx, call, list_id)
    await nos.share(tx, call.account_id)
    await lists.share_writes(tx, of.id)
    found = await contacts.by_ids(tx, call.account_id, list_id, [contact_id])
    if not found:
        raise NoSuchThing("no such contact")
    return of, found[0]
