"""proof: a client's contacts, the "no"s said for them, and which of these concern whom; a part of the oracle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Channel = Literal["email", "sms"]
Reason = Literal["unsubscribe", "manual", "complaint", "hard_bounce"]
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
    reason: Reason = "unsubscribe"
    """manual is not the person's word; a hard bounce is nobody's: it says nothing of consent."""
    at: int = field(default=0, compare=False)
    """When suppression acknowledged it; until then, when it was said."""
    whole_at: int = field(default=0, compare=False)
    """When it came to name all that it names, if that was later."""
    named: bool = field(default=True, compare=False)
    """Not: by link while contacts was away, so that its list was not known when it was recorded."""
    said: int | None = field(default=None, compare=False)
    """The use of a link that it is part of: it names every record that the mail's has become part of."""

    @property
    def keys(self) -> frozenset[tuple[str, object]]:
        """Who is named, by each of the three, and what else was said with it."""
        found = (("address", self.address), ("fkey", self.fkey), ("person", self.person), ("said", self.said))
        return frozenset(key for key in found if key[1] is not None)


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
    own: dict[Channel, int] = field(default_factory=dict)
    """Channels on which its client wrote so, and when it last did: no release gives these back."""
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


def meets(no: No, c: Contact, channel: Channel) -> bool:
    """A "no" that concerns the contact as it is now."""
    if no.channel != channel or no.reason == "hard_bounce":
        return False
    address = (
        no.address is not None and no.where in (None, c.where) and no.address == c.named(ADDRESS[channel])
    )
    return address or no.person == c.number or (no.fkey is not None and no.fkey == c.fkey)


def touches(no: No, c: Contact, channel: Channel) -> bool:
    """A "no" that concerns anything the contact is or ever was, also as another record."""
    if no.channel != channel or no.reason == "hard_bounce":
        return False
    address = no.where in (None, c.where) and no.address in c.past
    return address or no.person in {one.number for one in c.whole()} or _had(c, no.fkey)


def covers(stone: Tombstone, c: Contact, channel: Channel) -> bool:
    """Whether what is left of an erased person meets a contact that got this address or key later."""
    name = ADDRESS[channel]
    address = c.named(name) in stone.addresses and c.since[name] > stone.at
    return address or (c.fkey in stone.fkeys and c.since["fkey"] > stone.at)


def names(stone: Tombstone, c: Contact) -> bool:
    """Whether an erased person had the contact's address, number or key."""
    return bool(stone.addresses & c.addresses) or c.fkey in stone.fkeys


def reminds(stone: Tombstone, c: Contact) -> bool:
    return bool(stone.addresses & c.past) or any(_had(c, fkey) for fkey in stone.fkeys)


def _had(c: Contact, fkey: tuple[str, str] | None) -> bool:
    return fkey is not None and fkey[0] == c.where and fkey[1] in c.past
