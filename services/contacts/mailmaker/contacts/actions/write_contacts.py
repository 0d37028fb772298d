"""contacts.actions.write_contacts: writes and removes contacts by their keys, one or a thousand, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from mailmaker.common.mail.address import Channel
from mailmaker.common.mail.subjects import contact_subject
from mailmaker.common.storage.engine import Transaction
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.contact_shapes import BatchItem, FaultView, ItemView
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.tell import tell_changes, tell_nos, tell_removed
from mailmaker.contacts.domain.consent import PERSONAL, Consent
from mailmaker.contacts.domain.contact import Contact, Wish, after, blank, difference, said_again, said_no
from mailmaker.contacts.domain.fields import facts_by_names
from mailmaker.contacts.domain.lists import ContactList, key_text
from mailmaker.contacts.domain.protection import keys_for, protected, subjects
from mailmaker.contacts.domain.values import FaultAt, read
from mailmaker.contacts.errors import NoSuchThing
from mailmaker.contacts.storage import calling_off, contacts, history, lists, nos


@dataclass(frozen=True, slots=True)
class Note:
    """What a history calls a change, and what it says beside the fields."""

    what: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """An item on its way: its key, and the contact before and after it."""

    remove: bool
    wish: Wish = field(default_factory=Wish)
    key: str | None = None
    faults: Sequence[FaultAt] = ()
    before: Contact | None = None
    now: Contact | None = None

    def view(self, of: ContactList) -> ItemView:
        if self.faults:
            return ItemView(
                result="rejected", errors=[FaultView(pointer=p, code=c, detail=d) for p, c, d in self.faults]
            )
        if self.remove:
            return ItemView(
                result="removed" if self.before else "absent", id=self.before.id if self.before else None
            )
        assert self.now is not None
        changed = changed_fields(of, self.before, self.now)
        result = "updated" if self.before else "created"
        return ItemView.model_validate(
            {
                "result": result if changed else "unchanged",
                "id": self.now.id,
                "changed": changed,
            }
        )


def changed_fields(of: ContactList, before: Contact | None, now: Contact) -> list[str]:
    """Names of the fields that differ."""
    return sorted({name for side in difference(before, now) for name in facts_by_names(side, of)})


async def write_contacts(
    house: Contacts, tx: Transaction, call: Call, of: ContactList, items: Sequence[BatchItem]
) -> list[Draft]:
    """Applies items in their order; the wrong ones are left out and say why. Raises KeyTaken when another call has just
    created one of the contacts: try again."""
    now = house.clock.now()
    drafts = [_draft(item, of, now) for item in items]
    await nos.share(tx, call.account_id)
    await lists.share_writes(tx, of.id)
    keys = {draft.key for draft in drafts if draft.key is not None}
    held = {c.key_text: c for c in await contacts.by_keys(tx, call.account_id, of.id, sorted(keys))}
    at_first = dict(held)
    for draft in drafts:
        if draft.key is not None and not draft.faults:
            draft.before = held.get(draft.key)
            draft.now = None if draft.remove else _made(house.pepper, draft, of, now)
            if draft.now is None:
                held.pop(draft.key, None)
            else:
                held[draft.key] = draft.now
    # Also of a contact that a later item removes: the "no" outlives it.
    spoken = [(d.now, channel) for d in drafts if d.now for channel in said_no(d.before, d.now)]
    spoken += await unheard(
        tx, [(d.now, ch) for d in drafts if d.now for ch in said_again(d.before, d.wish.consents)], now
    )
    await _protect(tx, of, drafts)
    left = _left(drafts)
    last = {d.key: d.now for d in drafts if d.key is not None and not d.faults}
    pairs = [(at_first.get(key), c) for key, c in last.items()]
    await save(tx, call, of, [(b and left.get(b.id, b), c) for b, c in pairs], spoken, now)
    return drafts


def _left(drafts: Sequence[Draft]) -> dict[UUID, Contact]:
    """Contacts that an item removes, each as it was then: also what an item before it had changed. Whoever asks later
    whose an id was, is told of that state."""
    written = {d.now.id: d.now for d in drafts if d.now is not None}
    removed = (d.before for d in drafts if d.remove and d.before is not None)
    return {c.id: written.get(c.id, c) for c in removed}


async def list_for(tx: Transaction, call: Call, list_id: UUID) -> ContactList:
    """The open list a write is about. Raises NoSuchThing."""
    of = await lists.one(tx, call.account_id, list_id)
    if of is None or of.closed:
        raise NoSuchThing("no such list")
    return of


def _draft(item: BatchItem, of: ContactList, now: datetime) -> Draft:
    wish, faults = read(item.contact.named(), of, now.date())
    email, mobile, fkey = (wish.values.get(name) for name in ("email", "mobile", "fkey"))
    key = key_text(of.key, *(None if v is None else str(v) for v in (email, mobile, fkey)))
    if key is None and not any(pointer == f"/{of.key}" for pointer, _, _ in faults):
        faults.append((f"/{of.key}", "key.missing", "the list's key is needed"))
    return Draft(item.op == "remove", wish, key, faults)


def _made(pepper: bytes, draft: Draft, of: ContactList, now: datetime) -> Contact:
    """The contact after the wish; version and time move only when something differs."""
    if draft.before is None:
        wish = draft.wish
        made = Contact(
            of.account_id,
            of.id,
            new_id(),
            draft.key or "",
            blank(wish),
            {name: value for name, value in wish.custom.items() if value is not None},
            wish.email_consent or Consent.SUBSCRIBED,
            wish.sms_consent or Consent.SUBSCRIBED,
            keys_for(pepper, of.account_id, of.id),
            now,
            now,
            1,
        )
        return rekeyed(pepper, made)
    made = rekeyed(pepper, after(draft.before, draft.wish))
    return made if made == draft.before else replace(made, changed_at=now, version=draft.before.version + 1)


def rekeyed(pepper: bytes, c: Contact) -> Contact:
    """The contact with the keys of its present addresses."""
    email, mobile, fkey = (None if v is None else str(v) for v in c.addresses)
    return replace(c, keys=keys_for(pepper, c.account_id, c.list_id, email, mobile, fkey))


async def _protect(tx: Transaction, of: ContactList, drafts: Sequence[Draft]) -> None:
    fresh = [d.now for d in drafts if d.now is not None and (d.before is None or d.before.keys != d.now.keys)]
    said = await standing(tx, fresh)
    for draft in drafts:
        if draft.now is not None:
            draft.now = protected(draft.now, said)


async def standing(tx: Transaction, fresh: Sequence[Contact]) -> Sequence[tuple[str, bytes]]:
    """The "no"s said before against contacts of one list with a new address or key."""
    asked = {s for c in fresh for s in (*subjects(c, "email"), *subjects(c, "sms"))}
    return await nos.standing(tx, fresh[0].account_id, fresh[0].list_id, sorted(asked)) if asked else ()


async def unheard(
    tx: Transaction, said: Sequence[tuple[Contact, Channel]], now: datetime
) -> list[tuple[Contact, Channel]]:
    """Of "no"s for contacts of one list that are out already, those that no person's "no" for the contact itself stands
    for: one that an operator takes back must not bring them in again. Where one stands, it is as new as this word, so that
    a file that is older does not lift it; where a file is just lifting it, it stands no more."""
    if not said:
        return []
    of = said[0][0]
    asked = sorted({contact_subject(c.id) for c, _ in said})
    stand = set(await nos.standing(tx, of.account_id, of.list_id, asked, PERSONAL))
    stand -= {
        (channel, contact_subject(id))
        for id, channel in await calling_off.under_way(
            tx, of.account_id, [(c.id, channel) for c, channel in said]
        )
    }
    heard = {(channel, contact_subject(c.id)) for c, channel in said} & stand
    await nos.said_again(tx, of.account_id, sorted(heard), now)
    return [(c, channel) for c, channel in said if (channel, contact_subject(c.id)) not in stand]


async def save(
    tx: Transaction,
    call: Call,
    of: ContactList,
    pairs: Sequence[tuple[Contact | None, Contact | None]],
    spoken: Sequence[tuple[Contact, Channel]],
    now: datetime,
    notes: Mapping[UUID, Note] | None = None,
) -> None:
    """Writes contacts that differ from before, their history and their events. `spoken`: the channels on which this
    write itself says "no"; suppression hears of them. `notes`: what the history says other than created, updated and
    removed."""
    await calling_off.call_off(tx, of.account_id, [(c.id, channel) for c, channel in spoken])
    moved = [one for pair in pairs for one in _apart(*pair) if one[0] != one[1]]
    created = [c for b, c in moved if b is None and c is not None]
    updated = [c for b, c in moved if b is not None and c is not None]
    gone = [b for b, c in moved if b is not None and c is None]
    await contacts.delete(tx, of.account_id, [b.id for b in gone])
    await contacts.insert(tx, created)
    await contacts.update(tx, of.account_id, updated)
    lines = []
    for before, contact in moved:
        whose = contact or before
        if whose is not None:
            what = "created" if before is None else "updated" if contact is not None else "removed"
            note = (notes or {}).get(whose.id, Note(what))
            was, became = difference(before, contact)
            lines.append(history.Line(whose.id, note.what, was, {**became, **note.facts}))
    lines += _said_lines(lines, spoken)
    await history.write(tx, of.account_id, of.id, now, f"key:{call.key_id}", lines, door="api")
    tell_changes(tx, of, [c for _, c in moved if c is not None], now)
    tell_nos(tx, spoken, now)
    tell_removed(tx, of, [b.id for b in gone], now)


def _said_lines(
    lines: Sequence[history.Line], spoken: Sequence[tuple[Contact, Channel]]
) -> list[history.Line]:
    """That a "no" was said for a contact that was out already is part of its history: a release looks at what was said
    last."""
    told = {(line.contact_id, name) for line in lines for name in line.after}
    again = [(c.id, f"{channel}_consent") for c, channel in spoken]
    return [
        history.Line(id, "unsubscribed", {}, {name: str(Consent.UNSUBSCRIBED)})
        for id, name in dict.fromkeys(again)
        if (id, name) not in told
    ]


def _apart(before: Contact | None, now: Contact | None) -> list[tuple[Contact | None, Contact | None]]:
    """A contact that was removed and written again under its key is another one: the first goes, the second comes."""
    if before is None or now is None or before.id == now.id:
        return [(before, now)]
    return [(before, None), (None, now)]
