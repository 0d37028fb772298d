"""proof: whom a file with a stated lawful basis may bring back, and whom it must; a part of the oracle.

A word of four: `never`, where anything stands that such a file may not lift, or where nothing stands at all: then a
consent stays as low as it once was; `later`, where it stands for what suppression alone knows, as that it was said again
after the consent; `surely`, where nothing else was ever said about whom the file names; else `perhaps`: one opt-out may
have been said by several keys, and goes as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from history_people import (
    ADDRESS,
    CHANNELS,
    Channel,
    Contact,
    Fields,
    No,
    covers,
    meets,
    reminds,
    touches,
)

if TYPE_CHECKING:
    from history_model import Model

Word = Literal["never", "later", "perhaps", "surely"]


@dataclass
class Asked:
    """One contact on one channel, as the file found it, and the opt-outs that it asks to lift."""

    word: Word
    fields: dict[str, str | None]
    stand: bool
    """Whether an opt-out surely stood."""
    family: list[No]
    """The opt-outs that keep it out, and all that may be one with them."""


@dataclass
class Lift:
    """What one file asked of suppression. `until`: what was said later stands."""

    where: str
    until: int
    at: int
    asked: dict[tuple[int, Channel], Asked] = field(default_factory=dict)
    back: list[tuple[int, Channel, bool]] = field(default_factory=list)
    """Who came back, and whether it was surely by this file."""


class Lifting:
    """What a client may expect of such files."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def outcomes(
        self,
        before: Contact | None,
        after: Contact,
        row: Fields,
        mode: str,
        plain: str,
        until: int,
        *,
        planned: bool,
    ) -> set[str]:
        """What a row may count as, for whom a "no" may keep out. `plain`: what it were without. `planned`: before
        suppression is asked, that alone knows when something was said again."""
        sides = [c for c in (before, after) if c is not None]
        new = before is None
        out = {ch for ch in CHANNELS if any(self.model.may_be_out(c, ch) for c in sides)}
        must = {ch for ch in out if any(self.model.must_be_out(c, ch) for c in sides)}
        words = {ch: self.word(after, ch, row, mode, until, new=new) for ch in out}
        lifted = "created" if new else "updated"
        stays = {words[ch] for ch in must} & {"never", "later"}
        if stays:
            return {"protected", lifted} if planned and "never" not in stays else {"protected"}
        found = set() if must == out and {*words.values()} == {"surely"} else {"protected"}
        if any(word not in ("never", "later") for word in words.values()):
            found.add(lifted)
        return found if must else found | {plain}

    def word(self, c: Contact, channel: Channel, row: Fields, mode: str, until: int, *, new: bool) -> Word:
        """A file says nothing of a channel without a column, nor of whom it does not write."""
        name = ADDRESS[channel]
        if name not in row or c.fields[name] is None or (mode == "add" and not new):
            return "never"
        return self._word(c, channel, until)

    def _word(self, c: Contact, channel: Channel, until: int) -> Word:
        model = self.model
        stand = self._stand(c, channel)
        other = [no for no in stand if not liftable(no, c.where)]
        if any(covers(stone, c, channel) for stone in model.tombstones):
            return "never"
        if other:
            # At one place a complaint may be hidden from contacts by a newer opt-out, that suppression lifts beside it:
            # then, or before, since the place is not free.
            said = [*stand, *model.released, *model.perhaps, *model.lifted]
            over = any(liftable(no, c.where) and meets(no, c, channel) for no in said)
            return "later" if over and all(no.where == c.where for no in other) else "never"
        if c.own.get(channel, 0) > until or any(no.at > until for no in stand):
            return "later"
        perhaps = [*model.perhaps, *model.released]
        if not stand and not c.parts and not any(meets(no, c, channel) for no in perhaps):
            return "never"
        family = self._family(stand)
        if not stand or c.parts or any(no.at > until or not no.named for no in family):
            return "perhaps"
        past = {("address", value) for value in c.past} | {("fkey", (c.where, value)) for value in c.past}
        keys = {key for no in family for key in no.keys} | past | {("person", c.number)}
        unsure = [*model.handed, *perhaps, *_without(model.nos, family)]
        mixed = any(no.keys & keys and _beside(no, c.where, channel) for no in unsure)
        return "perhaps" if mixed or any(reminds(stone, c) for stone in model.tombstones) else "surely"

    def ask(
        self, where: str, rows: Sequence[Fields], mode: str, until: int, created: Collection[int]
    ) -> Lift:
        """What the file, that has just been applied, asks."""
        lift = Lift(where, until, self.model.tick())
        for c, row in self.model.named_by(where, rows):
            for channel in CHANNELS:
                word = self.word(c, channel, row, mode, until, new=c.number in created)
                if word != "never" and self.model.may_be_out(c, channel):
                    stand = [no for no in self._stand(c, channel) if liftable(no, where)]
                    asked = Asked(word, dict(c.fields), bool(stand), self._family(stand))
                    lift.asked[c.number, channel] = asked
        return lift

    def answered(self, lift: Lift) -> None:
        """suppression has lifted what it may. Of whom that touches, only what else stands is sure."""
        model = self.model
        sure, perhaps = list[No](), list[No]()
        for (number, channel), asked in lift.asked.items():
            word = self._word(model.contacts[number], channel, lift.until)
            certain = asked.word == word == "surely" and self._as_it_was(lift, number, channel)
            (sure if certain else perhaps).extend(no for no in asked.family if no.at <= lift.until)
        perhaps = _without(perhaps, sure)
        gone = [no for no in model.nos if _among(no, sure) or _among(no, perhaps)]
        model.lifted += [no for no in gone if _among(no, sure)]
        model.released += [no for no in gone if not _among(no, sure)]
        model.nos = _without(model.nos, gone)
        for no in gone:
            for c in model.contacts:
                if touches(no, c, no.channel):
                    c.out.discard(no.channel)
        for (number, channel), asked in lift.asked.items():
            # Who said it later stays out, though what was said before may be lifted.
            if asked.word == "later":
                continue
            c = model.contacts[number]
            c.out.discard(channel)
            if c.own.get(channel, 0) <= lift.until:
                c.own.pop(channel, None)

    def must_be_in(self, lift: Lift, number: int, channel: Channel) -> bool:
        """Whether the file, that is over now, has surely brought the contact back."""
        return lift.asked[number, channel].word == "surely" and self._as_it_was(lift, number, channel)

    def over(self, lift: Lift, number: int, channel: Channel, *, came_back: bool) -> None:
        """The file is over, and the contact was seen to be in or out. What was seen of it while suppression was asked may
        have been so until now."""
        if lift.asked[number, channel].word != "later":
            self.model.contacts[number].out.discard(channel)
        if came_back:
            lift.back.append((number, channel, lift.asked[number, channel].stand))

    def take_back(self, lift: Lift) -> None:
        """The import is being undone: suppression is to hear "no" for whoever of these is still in the list."""
        model = self.model
        for number, channel, surely in lift.back:
            c = model.contacts[number]
            if not c.here:
                continue
            no = model.no_for(c, channel, model.tick())
            (model.handed if surely else model.perhaps).append(no)
            if no.address is None:
                # suppression asks which address the contact has: it may be one that the undo gives back.
                model.perhaps += [No(channel, c.where, value, person=number, at=no.at) for value in c.past]

    def _as_it_was(self, lift: Lift, number: int, channel: Channel) -> bool:
        """Nobody has written the contact, and nothing was said of it, since the file was applied."""
        model, c = self.model, self.model.contacts[number]
        said = [*model.nos, *model.handed, *model.perhaps]
        return (
            c.here
            and c.fields == lift.asked[number, channel].fields
            and not any(max(no.at, no.whole_at) > lift.at and touches(no, c, channel) for no in said)
            and not any(reminds(stone, c) for stone in model.tombstones)
        )

    def _stand(self, c: Contact, channel: Channel) -> list[No]:
        return [no for no in self.model.nos if meets(no, c, channel)]

    def _family(self, of: Sequence[No]) -> list[No]:
        """These opt-outs of one list and one channel, and those that share a key with one of them, and so on."""
        found, keys = list(of), {key for no in of for key in no.keys}
        kin = [no for no in self.model.nos if of and _kin(no, of[0])]
        while more := [no for no in _without(kin, found) if no.keys & keys]:
            found += more
            keys |= {key for no in more for key in no.keys}
        return found


def liftable(no: No, where: str) -> bool:
    """The person's own opt-out from this very list; never a complaint, nor what holds everywhere."""
    return no.reason == "unsubscribe" and no.where == where


def _kin(no: No, other: No) -> bool:
    return (no.channel, no.where, no.reason) == (other.channel, other.where, other.reason)


def _beside(no: No, where: str, channel: Channel) -> bool:
    """Whether it may stand at the place of an opt-out of this list, or keep the same people out."""
    return no.channel == channel and (no.where == where or (no.where is None and no.reason != "hard_bounce"))


def _among(no: No, some: Iterable[No]) -> bool:
    """This very one: the same may have been said twice."""
    return any(no is one for one in some)


def _without(all_: Iterable[No], some: Sequence[No]) -> list[No]:
    return [no for no in all_ if not _among(no, some)]
