"""proof: what every client was told, in plain Python: the oracle of the histories. It knows nothing of the houses' code.

A contact is `out` on a channel when somebody was told so: the house must never say otherwise again. What cannot be known
from outside (a "no" recorded that contacts has not heard of yet, an address that a "no" once met and that has changed
since) is left open: then both answers are right. Whom no "no" ever touched must still be subscribed. What an import did is
kept too, so that it can be taken back: in history_undo. What a file with a lawful basis brings back, and what an opt-out
file says: in history_lifting.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from history_lifting import Lifting
from history_people import (
    ADDRESS,
    CHANNELS,
    FIELDS,
    KEYS,
    Channel,
    Contact,
    Fields,
    No,
    Tombstone,
    covers,
    folded,
    meets,
    names,
    reminds,
    touches,
)
from history_undo import Done, Taken


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
        self.lifted: list[No] = []
        """Gone for good by a file with a lawful basis."""
        self.handed: list[No] = []
        """Said to contacts, not handed over to suppression yet."""
        self.unnamed: list[tuple[int, int]] = []
        """Said by link while contacts was away: the addresses of these contacts are still to be named."""
        self.clock = 0
        self.lifting = Lifting(self)

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
            or any(meets(no, c, channel) for no in self.nos)
            or any(covers(stone, c, channel) for stone in self.tombstones)
        )

    def may_be_out(self, c: Contact, channel: Channel) -> bool:
        """Whether any "no" of the channel ever touched what the contact is or was."""
        said = [*self.nos, *self.handed, *self.released, *self.perhaps, *self.lifted]
        return (
            self.must_be_out(c, channel)
            or any(touches(no, c, channel) for no in said)
            or any(reminds(stone, c) for stone in self.tombstones)
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
        now = self.tick()
        for name in KEYS:
            if (value := c.named(name)) != before[name]:
                c.since[name] = now
            if value is not None:
                c.past.add(value)

    def withdraw(self, c: Contact, channel: Channel) -> None:
        """The client itself says "no" for a contact by writing its consent: it is out, and suppression is to hear of it."""
        c.own[channel] = at = self.tick()
        self.handed.append(self.no_for(c, channel, at))

    def withdraw_again(self, c: Contact, channel: Channel) -> None:
        """The same for a contact that is out already: suppression is to hear of it unless it has heard that before."""
        c.own[channel] = at = self.tick()
        self.perhaps.append(self.no_for(c, channel, at))

    def no_for(self, c: Contact, channel: Channel, at: int) -> No:
        """A "no" of the contact's list, by all that names the contact now."""
        return No(channel, c.where, c.named(ADDRESS[channel]), c.fkey, c.number, at=at)

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
        self.tombstones.append(Tombstone(self.tick(), addresses, fkeys))

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
        self.nos.append(replace(no, at=self.tick()))

    def release(self, no: No) -> None:
        """What it took may come back: of whom it touched, only what else stands, or their client wrote, is sure."""
        self.nos = [one for one in self.nos if one != no]
        self.released.append(no)
        for c in self.contacts:
            if touches(no, c, no.channel):
                c.out.discard(no.channel)

    def click(self, c: Contact, *, contacts_away: bool) -> None:
        """The link of a mail to this contact: the contact, and the address it has, or had when it left; and where it was
        merged away, the records it has become part of."""
        said = self.tick()
        self.say_no(No("email", c.where, person=c.number, named=not contacts_away, said=said))
        if contacts_away:
            self.unnamed.append((c.number, said))
        else:
            for no in self._named_by_link(c, said, named=True):
                self.say_no(no)

    def carried(self) -> None:
        """What contacts had heard, suppression has acknowledged."""
        for no in self.handed:
            self.say_no(no)
        self.handed.clear()

    def completed(self) -> None:
        """contacts has named who used a link while it was away. It was said then, not now; what a file has lifted
        meanwhile may stay lifted."""
        for number, said in self.unnamed:
            click = next((no for no in self.nos if no.said == said), None)
            for no in self._named_by_link(self.contacts[number], said, named=False):
                if click is None:
                    self.perhaps.append(replace(no, at=self.tick()))
                else:
                    self.nos.append(replace(no, at=click.at, whole_at=self.tick()))
        self.unnamed.clear()

    def close(self, where: str, as_: str) -> Callable[[No], No]:
        """A list is closed, and its name is free for another one. Returns what makes of a "no" the same one."""

        def renamed(no: No) -> No:
            fkey = no.fkey and (as_ if no.fkey[0] == where else no.fkey[0], no.fkey[1])
            return replace(no, where=as_ if no.where == where else no.where, fkey=fkey)

        self.kinds[as_] = self.kinds[where]
        for c in self.contacts:
            if c.where == where:
                c.where, c.here = as_, False
        for nos in (self.nos, self.handed, self.perhaps, self.released, self.lifted):
            nos[:] = map(renamed, nos)
        self.tombstones = [
            replace(one, fkeys=frozenset((as_ if of == where else of, key) for of, key in one.fkeys))
            for one in self.tombstones
        ]
        return renamed

    # -- what a file does

    def expect(
        self,
        where: str,
        rows: Sequence[Fields],
        mode: str,
        erases: Collection[str],
        until: int | None = None,
        *,
        planned: bool = False,
    ) -> Expected:
        """The counts of an import before it runs: each row once, the last of a key, by what may be known. `until`: it
        states a lawful basis, and brings back whom nothing said later keeps out."""
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
            if not any(self.may_be_out(*one) for one in met):
                least[plain] += 1
                continue
            if until is None:
                outcomes = (
                    {"protected"} if any(self.must_be_out(*one) for one in met) else {"protected", plain}
                )
            else:
                outcomes = self.lifting.outcomes(before, after, row, mode, plain, until, planned=planned)
            into = least if len(outcomes) == 1 else open_
            for name in outcomes:
                into[name] += 1
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
        if done.lift is not None:
            self.lifting.take_back(done.lift)
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
            back = free and not c.erased and not any(names(stone, c) for stone in self.tombstones)
            taken.say(c, int(back), 1)
            if back:
                c.here, c.fields = True, dict(fields)
        return taken

    def named_by(self, where: str, rows: Sequence[Fields]) -> list[tuple[Contact, Fields]]:
        """The contacts of a list that a file's rows name, each with its row."""
        held = self.of(where)
        return [(held[key], row) for key, row in self._last(where, rows).items() if key in held]

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
        c = self._made(len(self.contacts), where, fields, self.tick())
        self.contacts.append(c)
        return c

    def _made(self, number: int, where: str, fields: dict[str, str | None], at: int) -> Contact:
        past = {value for name in KEYS if (value := folded(name, fields[name])) is not None}
        return Contact(number, where, fields, born=dict(fields), since=dict.fromkeys(KEYS, at), past=past)

    def _named_by_link(self, c: Contact, said: int, *, named: bool) -> list[No]:
        """What contacts tells of the record that the mail was for. Of an erased person it knows nothing."""
        records = [] if c.erased else [c, *c.heirs()]
        return [
            No("email", one.where, one.named("email"), person=one.number, named=named, said=said)
            for one in records
        ]

    def tick(self) -> int:
        self.clock += 1
        return self.clock


def _named(row: Fields, erases: Collection[str]) -> dict[str, str | None]:
    """What a row writes over an existing contact: an empty cell keeps or erases."""
    return {name: value for name, value in row.items() if value is not None or name in erases}
