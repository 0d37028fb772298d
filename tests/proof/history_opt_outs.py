"""proof: what an opt-out file says, by what a client knows of it; a part of the oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from history_model import Model
from history_people import ADDRESS, CHANNELS, Channel, Contact, Fields, No, folded

NAMING: Mapping[Channel | None, tuple[str, ...]] = {
    None: ("email", "mobile", "fkey"),
    "email": ("email", "fkey"),
    "sms": ("mobile", "fkey"),
}
"""The columns that name people, by the one channel that a file is about."""


def people_of(rows: Sequence[Fields], channel: Channel | None) -> list[Fields]:
    """Whom each row names, by the columns that the file is about: each person once, nobody not at all."""
    named = [{name: row.get(name) for name in NAMING[channel]} for row in rows]
    found = {tuple(folded(*cell) for cell in person.items()): person for person in named}
    return [person for key, person in found.items() if any(key)]


def said_by(person: Fields, where: str, scope: str, channel: Channel | None) -> list[No]:
    """An address says no to e-mail, a number to SMS; the client's key beside it is the same person. A key that stands
    alone says no to the file's channel, or to both."""
    fkey = person["fkey"]
    key = None if fkey is None else (where, fkey)
    of = where if scope == "list" else None
    addresses = {ch: folded(name, person.get(name)) for ch, name in ADDRESS.items()}
    nos = [No(ch, of, address, key) for ch, address in addresses.items() if address is not None]
    return nos or [No(ch, of, fkey=key) for ch in CHANNELS if channel in (None, ch)]


def stood(model: Model, no: No, where: str) -> bool | None:
    """Whether it says nothing new: it was in the ledger before, or everybody whom it names in the list was out. None: that
    cannot be known."""
    hits = [c for c in model.contacts if c.here and _names(no, c) and no.where in (None, c.where)]
    lists = (None, where) if no.where is not None else (None,)
    ledger = any(_says(one, no) and one.where in lists for one in model.nos)
    buried = any(_buried(no, stone.addresses, stone.fkeys) for stone in model.tombstones)
    if (
        ledger
        or buried
        or (no.where is not None and hits and all(model.must_be_out(c, no.channel) for c in hits))
    ):
        return True
    said = [*model.nos, *model.handed, *model.released, *model.perhaps, *model.lifted]
    known = any(_says(one, no) for one in said) or any(
        model.may_be_out(c, no.channel) for c in model.contacts if _named(no, c)
    )
    return None if known else False


def _says(one: No, no: No) -> bool:
    """Whether one "no" names somebody as another does."""
    if one.channel != no.channel or one.reason == "hard_bounce":
        return False
    return (one.address is not None and one.address == no.address) or (
        one.fkey is not None and one.fkey == no.fkey
    )


def _names(no: No, c: Contact) -> bool:
    address = no.address is not None and no.address == c.named(ADDRESS[no.channel])
    return address or (no.fkey is not None and no.fkey == c.fkey)


def _named(no: No, c: Contact) -> bool:
    """Whether it names the contact by anything that it has or ever had."""
    return no.address in c.past or (no.fkey is not None and no.fkey[0] == c.where and no.fkey[1] in c.past)


def _buried(no: No, addresses: frozenset[str], fkeys: frozenset[tuple[str, str]]) -> bool:
    return no.address in addresses or no.fkey in fkeys
