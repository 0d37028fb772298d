"""proof: what every client was told, in plain Python: the oracle of the histories. It knows nothing of the houses' code.

A contact is `out` on a channel when somebody was told so: the house must never say otherwise again. What cannot be known
from outside (a "no" recorded that contacts has not heard of yet, an address that a "no" once met and that has changed
since) is left open: then both answers are right. Whom no "no" ever touched must still be subscribed. What an import did is
kept too, so that it can be taken back: in history_undo.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from history_undo import Done, Taken

Channel = Literal["email", "sms"]
CHANNELS: tuple[Channel, Channel] = ("email", "sms")
FIELDS = ("email", "mobile", "fkey", "name")
KEYS = ("email", "mobile", "fkey")
ADDRESS: Mapping[Channel, str] = {"email": "email", "sms": "mobile"}
Fields = Mapping[str, str | None]


@dataclass(frozen=True)
class No:
    """A "no" that was acknowledged. `where` None: every list of the account. Any of the three may name the person: an
    address, the client's own key in one list, a contact."""

    channel: Channel
    where: str | None
    address: str | None = None
    fkey: tuple[str, str] | None = None
    person: int | None = None
    manual: bool = False
    """Not the person's word."""


@dataclass(frozen=True)
class Tombstone:
    """What is left of an erased person: whoever comes later with the address or the key is met by it, in any list."""

    at: int
    addresses: frozenset[str]
    fkeys: frozenset[tuple[str, str]]


@dataclass(eq=False)
class Contact:
    """A contact as its client knows it. `number` is its birth: a later one under the same key is another contact."""

    number: int
    where: str
    fields: dict[str, str | None]
    born: Fields = field(default_factory=dict)
    """Its fields at its birth."""
    out: set[Channel] = field(default_factory=set)
    """Channels on which somebody was told that it is unsubscribed."""
    own: set[Channel] = field(default_factory=set)
    """Channels on which its client wrote so: no release gives these back."""
    since: dict[str, int] = field(default_factory=dict)
    """When it got each of its present addresses, and its key."""
    past: set[str] = field(default_factory=set)
    """Every address and key it ever had."""
    here: bool = True
    erased: bool = False
    """Forgotten, or an earlier record of somebody who was."""
    became: Contact | None = None
    """The record that it was merged into."""
    parts: list[Contact] = field(default_factory=list)
    """Records that were merged into it."""

    def named(self, name: str) -> str | None:
        """An address or key as it is compared."""
        return folded(name, self.fields[name])

    @property
    def fkey(self) -> tuple[str, str] | None:
        fkey = self.fields["fkey"]
        return None if fkey is None else (self.where, fkey)

    @property
    def addresses(self) -> frozenset[str]:
        return frozenset(a for name in ADDRESS.values() if (a := self.named(name)) is not None)

    def heirs(self) -> Iterator[Contact]:
        """The records it has become part of, one after the other."""
        if self.became is not None:
            yield self.became
            yield from self.became.heirs()

    def whole(self) -> Iterator[Contact]:
        """It, and every record that is part of it."""
        yield self
        for part in self.parts:
            yield from part.whole()


def folded(name: str, value: str | None) -> str | None:
    """An address is the same in any case; dots and plus signs count."""
    return value.casefold() if value is not None and name == "email" else value


@dataclass
class Expected:
    """What a file does: for each count the least and the most, and the list that comes of it."""

    least: dict[str, int]
    most: dict[str, int]


class Model:
    """One account. `kinds`: the key of each list."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = dict(kinds)
        self.contacts: list[Contact] = []
        self.nos: list[No] = []
        self.tombstones: list[Tombstone] = []
        self.released: list[No] = []
        self.perhaps: list[No] = []
        self.handed: list[No] = []
        """Said to contacts, not handed over to suppression yet."""
        self.unnamed: list[int] = []
        """Said by link while contacts was away: the addresses of these contacts are still to be named."""
        self.clock = 0

    # -- what there is

    def of(self, where: str) -> dict[str, Contact]:
        """The contacts of a list by key."""
        kind = self.kinds[where]
        return {c.named(kind) or "": c for c in self.contacts if c.here and c.where == where}

    def shown(self, where: str) -> dict[str, dict[str, str | None]]:
        """A list as its client would see it, but for consents."""
        return {key: dict(c.fields) for key, c in self.of(where).items()}

    # -- what is said of consents

    def must_be_out(self, c: Contact, channel: Channel) -> bool:
        """Whether a "no" that suppression has acknowledged, or what somebody was told, keeps the contact out."""
        return (
            channel in c.out
            or channel in c.own
            or any(_meets(no, c, channel) for no in self.nos)
            or any(_covers(stone, c, channel) for stone in self.tombstones)
        )

    def may_be_out(self, c: Contact, channel: Channel) -> bool:
        """Whether any "no" of the channel ever touched what the contact is or was."""
        said = [*self.nos, *self.handed, *self.released, *self.perhaps]
        return (
            self.must_be_out(c, channel)
            or any(_touches(no, c, channel) for no in said)
            or any(_reminds(stone, c) for stone in self.tombstones)
        )

    # -- what clients do

    def write(self, where: str, wish: Fields) -> Contact:
        """An upsert by the list's key."""
        kind = self.kinds[where]
        found = self.of(where).get(folded(kind, wish[kind]) or "")
        if found is None:
            return self._born(where, {name: wish.get(name) for name in FIELDS})
        self.change(found, wish)
        return found

    def change(self, c: Contact, wish: Fields) -> None:
        """Fields that are named change; the person stays the same."""
        before = {name: c.named(name) for name in KEYS}
        c.fields.update(wish)
        now = self._tick()
        for name in KEYS:
            if (value := c.named(name)) != before[name]:
                c.since[name] = now
            if value is not None:
                c.past.add(value)

    def withdraw(self, c: Contact, channel: Channel) -> None:
        """The client itself says "no" for a contact by writing its consent: it is out, and suppression is to hear of it."""
        c.own.add(channel)
        self.handed.append(No(channel, c.where, c.named(ADDRESS[channel]), c.fkey, c.number))

    def withdraw_again(self, c: Contact, channel: Channel) -> None:
        """The same for a contact that is out already: suppression is to hear of it unless it has heard that before."""
        c.own.add(channel)
        self.perhaps.append(No(channel, c.where, c.named(ADDRESS[channel]), c.fkey, c.number))

    def remove(self, c: Contact) -> None:
        c.here = False

    def erase(self, c: Contact) -> None:
        """The person is forgotten, and met again by what is left: with every record that was merged into this one, and
        with whatever the list's past has of them under an earlier one."""
        records = list(c.whole())
        past = {value for one in records for value in one.past}
        gone = [d for d in self.contacts if d.where == c.where and not d.here and d.past & past]
        for one in (*records, *gone):
            one.here, one.erased = False, True
        addresses = frozenset(a for one in records for a in one.addresses)
        fkeys = frozenset(one.fkey for one in records if one.fkey is not None)
        self.tombstones.append(Tombstone(self._tick(), addresses, fkeys))

    def elsewhere(self, c: Contact) -> Contact | None:
        """The contact that the person of one who has left is now, if the list has it."""
        if (heirs := list(c.heirs())) != []:
            return heirs[-1]
        return self.of(c.where).get(c.named(self.kinds[c.where]) or "")

    def merge(
        self, this: Contact, other: Contact, keep: Mapping[str, str], lowered: Collection[Channel]
    ) -> None:
        """Two records are one person's. `lowered`: channels on which only the other one was out."""
        wish = {
            name: other.fields[name]
            for name, value in this.fields.items()
            if keep.get(name) == "other" or (name not in keep and value is None)
        }
        out = {channel for channel in CHANNELS if self.must_be_out(other, channel)}
        other.here, other.became = False, this
        this.parts.append(other)
        self.change(this, wish)
        for channel in CHANNELS:
            if channel in lowered:
                self.withdraw(this, channel)
            elif channel in out:
                self.withdraw_again(this, channel)

    def say_no(self, no: No) -> None:
        """A door of suppression has acknowledged it."""
        self.nos.append(no)

    def release(self, no: No) -> None:
        """What it took may come back: of whom it touched, only what else stands, or their client wrote, is sure."""
        self.nos = [one for one in self.nos if one != no]
        self.released.append(no)
        for c in self.contacts:
            if _touches(no, c, no.channel):
                c.out.discard(no.channel)

    def click(self, c: Contact, *, contacts_away: bool) -> None:
        """The link of a mail to this contact: the contact, and the address it has, or had when it left; and where it was
        merged away, the records it has become part of."""
        self.nos.append(No("email", c.where, person=c.number))
        if contacts_away:
            self.unnamed.append(c.number)
        else:
            self._name(c)

    def carried(self) -> None:
        """What contacts had heard, suppression has acknowledged."""
        self.nos += self.handed
        self.handed.clear()

    def completed(self) -> None:
        for number in self.unnamed:
            self._name(self.contacts[number])
        self.unnamed.clear()

    # -- what a file does

    def expect(self, where: str, rows: Sequence[Fields], mode: str, erases: Collection[str]) -> Expected:
        """The counts of an import before it runs: each row once, the last of a key, by what may be known."""
        least = dict.fromkeys(("created", "updated", "unchanged", "protected", "removed", "duplicate"), 0)
        open_ = dict.fromkeys(least, 0)
        last = self._last(where, rows)
        held = self.of(where)
        least["duplicate"] = len(rows) - len(last)
        least["removed"] = len(held.keys() - last.keys()) if mode == "full" else 0
        for key, row in last.items():
            before = held.get(key)
            if before is None and mode == "update":
                least["unchanged"] += 1
                continue
            plain, after = self._outcome(where, before, row, mode, erases)
            met = [(c, channel) for c in (before, after) if c is not None for channel in CHANNELS]
            if any(self.must_be_out(*one) for one in met):
                least["protected"] += 1
            elif any(self.may_be_out(*one) for one in met):
                open_["protected"] += 1
                open_[plain] += 1
            else:
                least[plain] += 1
        return Expected(least, {name: least[name] + open_[name] for name in least})

    def apply(self, where: str, rows: Sequence[Fields], mode: str, erases: Collection[str]) -> Done:
        """What the file does to the list, and how it would be taken back."""
        last, held, done = self._last(where, rows), self.of(where), Done(where)
        for key, row in last.items():
            before = held.get(key)
            if before is None:
                if mode != "update":
                    done.created.append(self._born(where, {name: row.get(name) for name in FIELDS}))
            elif mode != "add":
                was = dict(before.fields)
                self.change(before, _named(row, erases))
                done.note(before, was)
        if mode == "full":
            for key in held.keys() - last.keys():
                held[key].here = False
                done.removed.append((held[key], dict(held[key].fields)))
        return done

    def undo(self, done: Done, unwritten: Collection[int]) -> Taken:
        """What nobody changed since becomes as it was. `unwritten`: contacts that nobody has written since their birth.
        Nobody comes back whose key is taken, or whose address or key an erased person had."""
        taken = Taken()
        for c, before, after in done.changed:
            stands = {name: before[name] for name in before if c.here and c.fields[name] == after[name]}
            taken.say(c, len(stands), len(before))
            self.change(c, stands)
        for c in done.created:
            taken.say(c, int(c.here and c.number in unwritten), 1)
            c.here = c.here and c.number not in unwritten
        held = self.of(done.where)
        for c, fields in done.removed:
            free = c.named(self.kinds[c.where]) not in held
            back = free and not c.erased and not any(_names(stone, c) for stone in self.tombstones)
            taken.say(c, int(back), 1)
            if back:
                c.here, c.fields = True, dict(fields)
        return taken

    def _last(self, where: str, rows: Sequence[Fields]) -> dict[str, Fields]:
        kind = self.kinds[where]
        return {folded(kind, row[kind]) or "": row for row in rows}

    def _outcome(
        self, where: str, before: Contact | None, row: Fields, mode: str, erases: Collection[str]
    ) -> tuple[str, Contact]:
        """The row's action were there no "no", and the contact as the row would leave it."""
        if before is None:
            fields = {name: row.get(name) for name in FIELDS}
            return "created", self._made(-1, where, fields, self.clock + 1)
        if mode == "add":
            return "unchanged", before
        after = replace(before, fields=dict(before.fields), since=dict(before.since), past=set(before.past))
        self.change(after, _named(row, erases))
        return ("unchanged" if after.fields == before.fields else "updated"), after

    def _born(self, where: str, fields: dict[str, str | None]) -> Contact:
        c = self._made(len(self.contacts), where, fields, self._tick())
        self.contacts.append(c)
        return c

    def _made(self, number: int, where: str, fields: dict[str, str | None], at: int) -> Contact:
        past = {value for name in KEYS if (value := folded(name, fields[name])) is not None}
        return Contact(number, where, fields, born=dict(fields), since=dict.fromkeys(KEYS, at), past=past)

    def _name(self, c: Contact) -> None:
        """contacts has told whose record the mail was for. Of an erased person it knows nothing."""
        for one in (c, *c.heirs()):
            if not c.erased:
                self.nos.append(No("email", one.where, one.named("email"), person=one.number))

    def _tick(self) -> int:
        self.clock += 1
        return self.clock


def _named(row: Fields, erases: Collection[str]) -> dict[str, str | None]:
    """What a row writes over an existing contact: an empty cell keeps or erases."""
    return {name: value for name, value in row.items() if value is not None or name in erases}


def _meets(no: No, c: Contact, channel: Channel) -> bool:
    """A "no" that concerns the contact as it is now."""
    if no.channel != channel:
        return False
    address = (
        no.address is not None and no.where in (None, c.where) and no.address == c.named(ADDRESS[channel])
    )
    return address or no.person == c.number or (no.fkey is not None and no.fkey == c.fkey)


def _touches(no: No, c: Contact, channel: Channel) -> bool:
    """A "no" that concerns anything the contact is or ever was, also as another record."""
    if no.channel != channel:
        return False
    address = no.where in (None, c.where) and no.address in c.past
    return address or no.person in {one.number for one in c.whole()} or _had(c, no.fkey)


def _covers(stone: Tombstone, c: Contact, channel: Channel) -> bool:
    """Whether what is left of an erased person meets a contact that got this address or key later."""
    name = ADDRESS[channel]
    address = c.named(name) in stone.addresses and c.since[name] > stone.at
    return address or (c.fkey in stone.fkeys and c.since["fkey"] > stone.at)


def _names(stone: Tombstone, c: Contact) -> bool:
    """Whether an erased person had the contact's address, number or key."""
    return bool(stone.addresses & c.addresses) or c.fkey in stone.fkeys


def _reminds(stone: Tombstone, c: Contact) -> bool:
    return bool(stone.addresses & c.past) or any(_had(c, fkey) for fkey in stone.fkeys)


def _had(c: Contact, fkey: tuple[str, str] | None) -> bool:
    return fkey is not None and fkey[0] == c.where and fkey[1] in c.past
