"""proof: what a client does to an account by files: in every mode, at once or on approval, and taken back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
from history_lifting import Lift
from history_machine import LISTS, PEOPLE, Account, a_row, emails, fields_of, fkeys, mobiles, picks, where
from history_model import Expected
from history_opt_outs import NAMING, people_of, said_by, stood
from history_people import FIELDS, Channel, Contact, Fields, No, folded
from history_undo import Done
from hypothesis.stateful import precondition, rule
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.hear_imports import approve

EMPTY = ("keep", "erase")
SENT_BY = new_id()
BASIS = "They consented again in our shop, with a signed form."

modes = st.sampled_from(("incremental", "full", "add", "update"))
files = where.flatmap(lambda of: st.tuples(st.just(of), st.lists(a_row(of), min_size=1, max_size=PEOPLE + 1)))
some = st.none() | emails, st.none() | mobiles, st.none() | fkeys
named = st.tuples(*some).map(lambda cells: dict(zip(("email", "mobile", "fkey"), cells, strict=True)))
opt_outs = st.tuples(where, st.lists(named, min_size=1, max_size=3))
scopes = st.sampled_from(("list", "account"))
about = st.sampled_from((None, "email", "sms"))
rarely = st.sampled_from((True, False, False, False))


@dataclass
class Sent:
    """A file of a client's, and when it first came."""

    where: str
    rows: list[Fields]
    at: datetime
    tick: int


@dataclass
class Import:
    """One import of a file."""

    where: str
    rows: list[Fields]
    mode: str
    empty: str = "keep"
    but: frozenset[str] = frozenset()
    """Fields whose empty cells do the other thing."""
    since: Sent | None = None
    """With a lawful basis: when people consented anew, where that is said."""
    lawful: bool = False
    scope: str = "list"
    channel: Channel | None = None
    waits: bool = False
    """For somebody's approval."""
    late: bool = False
    """suppression answers later."""
    by_line: bool = False
    """ingest tells its lines, and reads those that the list does not hold."""
    id: str = ""
    until: int | None = None
    """With a lawful basis: what was said later stands."""
    nos: list[No] = field(default_factory=list)
    lift: Lift | None = None
    expected: Expected | None = None

    @property
    def asks(self) -> bool:
        """Whether it surely asks something of suppression: then contacts hears everything before it is over."""
        lifts = self.lift is not None and any(asked.word == "surely" for asked in self.lift.asked.values())
        return lifts or self.nos != []

    @property
    def erases(self) -> frozenset[str]:
        return frozenset(FIELDS) - self.but if self.empty == "erase" else self.but


class Files(Account):
    """Rules of files."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self.done: dict[str, Done] = {}
        self.heard: list[tuple[Any, ...]] = []
        self.planned: list[Import] = []
        self.unanswered: list[Import] = []
        """Imports that asked something of suppression, which has not answered."""
        self.answered: list[Import] = []
        """suppression has, and contacts has not looked yet."""
        self.lifts: list[Lift] = []

    @rule(
        file=files,
        mode=modes,
        empty=st.sampled_from(EMPTY),
        but=st.sets(st.sampled_from(("email", "mobile", "name")), max_size=2),
        watched=rarely,
        waits=rarely,
        by_line=st.booleans(),
    )
    def a_file_is_imported(
        self,
        file: tuple[str, list[Fields]],
        mode: str,
        empty: str,
        but: set[str],
        watched: bool,
        waits: bool,
        by_line: bool,
    ) -> None:
        self._keep(*file)
        it = Import(*file, mode, empty, frozenset(but), waits=waits, by_line=by_line)
        self._import(it, watched=watched)

    @precondition(lambda self: self.sent)
    @rule(pick=picks, mode=modes, by_line=st.booleans())
    def an_older_file_is_imported_again(self, pick: int, mode: str, by_line: bool) -> None:
        file = self.sent[pick % len(self.sent)]
        self._import(Import(file.where, file.rows, mode, by_line=by_line))

    @rule(
        file=files,
        older=st.none() | picks,
        since=st.none() | picks,
        mode=modes,
        waits=rarely,
        late=rarely,
        by_line=st.booleans(),
    )
    def a_file_brings_people_back(
        self,
        file: tuple[str, list[Fields]],
        older: int | None,
        since: int | None,
        mode: str,
        waits: bool,
        late: bool,
        by_line: bool,
    ) -> None:
        """With a lawful basis: who opted out of the list has consented anew, when an older file came, or until now."""
        if older is not None and self.sent:
            old = self.sent[older % len(self.sent)]
            file = (old.where, old.rows)
        else:
            self._keep(*file)
        then = None if since is None or not self.sent else self.sent[since % len(self.sent)]
        self._import(Import(*file, mode, since=then, lawful=True, waits=waits, late=late, by_line=by_line))

    @rule(file=opt_outs, scope=scopes, channel=about, waits=rarely, late=st.booleans())
    def a_file_says_no(
        self,
        file: tuple[str, list[Fields]],
        scope: str,
        channel: Channel | None,
        waits: bool,
        late: bool,
    ) -> None:
        self._import(Import(*file, "opt_out", scope=scope, channel=channel, waits=waits, late=late))

    @precondition(lambda self: self.sent)
    @rule(pick=picks, scope=scopes, channel=about, late=st.booleans())
    def an_older_file_says_no(self, pick: int, scope: str, channel: Channel | None, late: bool) -> None:
        """A file of contacts, sent as one of opt-outs."""
        file = self.sent[pick % len(self.sent)]
        self._import(Import(file.where, file.rows, "opt_out", scope=scope, channel=channel, late=late))

    @precondition(lambda self: self.planned)
    @rule(pick=picks)
    def a_plan_is_approved(self, pick: int) -> None:
        """What was said since it was shown counts."""
        it = self.planned.pop(pick % len(self.planned))
        self._in_turn(it.where)
        assert self.do(approve(self.street.contacts.house, self.client.account, UUID(it.id)))
        if it.where in LISTS or it.mode == "opt_out":
            self._apply(it)
            return
        plan, _ = self.do(self._applied(it.id, state="failed"))
        self._conclude()
        assert plan["error"]["code"] == "list.unknown"

    @precondition(lambda self: self.done)
    @rule(pick=picks)
    def an_import_is_undone(self, pick: int) -> None:
        """One of the last few: what came between may have changed all that it did."""
        latest = list(self.done)[-4:]
        self._undo(latest[pick % len(latest)])

    def taken_off(self) -> list[tuple[str, Contact]]:
        """Imports that may be undone, each with somebody it has removed and who is away."""
        return [
            (import_id, c)
            for import_id, done in self.done.items()
            if not done.undone
            for c, _ in done.removed
            if not c.here
        ]

    def closing(self, of: str, as_: str) -> None:
        """A list is about to be closed: what files did to it cannot be undone, nor those be applied that wait."""
        if self.unanswered or self.answered:
            self.answer()
        self.done = {id: done for id, done in self.done.items() if done.where != of}
        self.heard = [heard for heard in self.heard if heard[0] != self.lists[of]]
        for it in (*self.planned, *self.lifts):
            it.where = as_ if it.where == of else it.where

    def sent_now(self, c: Contact) -> Sent:
        """A moment, as that of a file with one contact."""
        return Sent(c.where, [c.fields], datetime.now(UTC), self.model.tick())

    def answer(self) -> None:
        """suppression answers whatever files have asked of it, and contacts tells that they are over."""
        self.carry_files()
        self.look()

    def carry_files(self) -> None:
        self.do(self.street.carry_files())
        # One hand-over has what several files say first, and then what they ask to lift.
        for it in self.unanswered:
            for no in it.nos:
                self.model.say_no(no)
        for it in self.unanswered:
            if it.lift is not None:
                self.model.lifting.answered(it.lift)
                self.lifts.append(it.lift)
        self.answered += self.unanswered
        self.unanswered.clear()

    def look(self) -> None:
        """contacts looks what has been answered."""
        self.do(self._steps())
        self._conclude()

    # -- from a file to its list

    def _keep(self, of: str, rows: list[Fields]) -> None:
        self.sent.append(Sent(of, rows, datetime.now(UTC), self.model.tick()))

    def _import(self, it: Import, *, watched: bool = False) -> None:
        came = Sent(it.where, it.rows, datetime.now(UTC), self.model.tick())
        self._in_turn(it.where)
        self.do(self._hear(it, came))
        if not it.waits:
            self._apply(it, watched=watched)
            return
        expected = self._expect(it, planned=True)
        self.do(self._steps())
        self._conclude()
        plan = self.do(self._plan(it.id))
        assert plan["state"] == "planned", plan
        _within(plan["counts"], expected, len(it.rows))
        self._compare(it.where, caught_up=True)
        self.planned.append(it)

    def _apply(self, it: Import, *, watched: bool = False) -> None:
        of, approved = it.where, it.waits
        it.expected = expected = self._expect(it)
        planned = self._expect(it, planned=True)
        before = self.model.shown(of)
        plan, seen = self.do(self._applied(it.id, of if watched else None))
        self._conclude()
        if not approved:
            _within(plan["counts"], planned, len(it.rows))
        if it.mode == "opt_out":
            _within(plan["applied"], expected, len(it.rows))
            it.nos = [no for person in people_of(it.rows, it.channel) for no in self._said(it, person)]
        else:
            done = self.model.apply(of, it.rows, it.mode, it.erases)
            if it.until is None:
                _within(plan["applied"], expected, len(it.rows))
                assert approved or plan["counts"] == plan["applied"]
                self.done[it.id] = done
            else:
                created = {c.number for c in done.created}
                done.lift = it.lift = self.model.lifting.ask(of, it.rows, it.mode, it.until, created)
                self.done[it.id] = done
        after = self.model.shown(of)
        assert all(one in (before, after) for one in seen), (
            "a reader saw neither the old list nor the new one"
        )
        self._compare(of, caught_up=True)
        if it.mode == "opt_out" or it.lift is not None:
            self.unanswered.append(it)
            if it.mode == "opt_out" or it.asks:
                refused = self.do(self.street.undo(self.client, it.id))
                assert refused.status_code == 404, "undone before it was over, or what an opt-out file said"
            if not it.late:
                self.answer()

    def _in_turn(self, of: str) -> None:
        """Imports of one list queue up: the earlier ones are over first, though a later file may have come meanwhile."""
        if any(it.where == of for it in (*self.unanswered, *self.answered)):
            self.answer()

    def _expect(self, it: Import, *, planned: bool = False) -> Expected:
        if it.mode != "opt_out":
            return self.model.expect(it.where, it.rows, it.mode, it.erases, it.until, planned=planned)
        people = people_of(it.rows, it.channel)
        least = dict.fromkeys(("updated", "unchanged", "rejected", "duplicate"), 0)
        least["rejected"] = _nobody(it)
        least["duplicate"] = len(it.rows) - least["rejected"] - len(people)
        most = dict(least)
        for person in people:
            words = {stood(self.model, no, it.where) for no in self._said(it, person)}
            sure = "updated" if False in words else "unchanged" if words == {True} else None
            for name in ("updated", "unchanged"):
                least[name] += sure == name
                most[name] += sure in (None, name)
        return Expected(least, most)

    def _said(self, it: Import, person: Fields) -> list[No]:
        return said_by(person, it.where, it.scope, it.channel)

    async def _hear(self, it: Import, came: Sent) -> None:
        """The file as ingest stages it: each key once, its last row; of an opt-out file, each person once."""
        rig, kind = self.street.contacts, LISTS[it.where]
        if it.mode == "opt_out":
            rows, kind, fields = people_of(it.rows, it.channel), "fkey", list(NAMING[it.channel])
            rejected = _nobody(it)
        else:
            rows, fields = list({folded(kind, row[kind]): row for row in it.rows}.values()), list(it.rows[0])
            rejected = 0
        staged = [{name: value or "" for name, value in row.items()} for row in rows]
        by_field = dict.fromkeys(sorted(it.but & {*fields}), EMPTY[1 - EMPTY.index(it.empty)])
        it.id, many = rig.stage(staged, fields, key=kind, seed=repr((it.mode, it.empty, by_field)))
        more: dict[str, Any] = {
            "mode": it.mode,
            "empty_cells": it.empty,
            "empty_cells_by_field": by_field,
            "rows": len(it.rows),
            "rejected": rejected,
            "duplicate": len(it.rows) - rejected - many,
            "apply": "on_approval" if it.waits else "auto",
            "sent_by": SENT_BY,
            "received_at": came.at,
            "scope": it.scope,
            "channel": it.channel,
            "by_line": it.by_line and many == len(it.rows),
        }
        if it.lawful:
            it.until = (it.since or came).tick
            basis = {"text": BASIS, "consented_at": None if it.since is None else it.since.at}
            more |= {"protect_cancellations": False, "lawful_basis": basis}
        self.heard.append((self.lists[it.where], it.id, many, fields, more))
        await rig.hear(self.client, self.lists[it.where], it.id, many, fields, **more)

    async def _applied(
        self, import_id: str, watched: str | None = None, state: str = "applied"
    ) -> tuple[Mapping[str, Any], list[Any]]:
        """Until the import is through. The list is read meanwhile, if it is `watched`."""
        applying = asyncio.create_task(self._until(import_id, state))
        seen = []
        while watched is not None and not applying.done():
            seen.append({key: fields_of(item) for key, item in (await self._read(watched)).items()})
            await asyncio.sleep(0.005)
        return await applying, seen

    async def _until(self, import_id: str, state: str) -> Mapping[str, Any]:
        while True:
            await self._steps()
            plan = await self._plan(import_id)
            if plan["state"] != "quarantined":
                assert plan["state"] == state, plan
                return plan
            assert await approve(self.street.contacts.house, self.client.account, UUID(import_id))

    async def _steps(self) -> None:
        while await self.street.contacts.imports.step():
            pass

    async def _plan(self, import_id: str) -> dict[str, Any]:
        return dict((await self.client.ask("GET", f"/v1/plans/{import_id}")).json())

    # -- what suppression has answered

    def _conclude(self) -> None:
        """Imports that were answered are over: contacts has just looked."""
        over, self.answered = self.answered, []
        for it in over:
            if it.lift is not None:
                self._see_who_came_back(it, it.lift)
            self._compare(it.where, caught_up=it.asks)
        if any(it.lift is not None for it in over):
            self._see_what_stands()

    def _see_who_came_back(self, it: Import, lift: Lift) -> None:
        found = self.do(self._read(it.where))
        held = {c.number: found[key] for key, c in self.model.of(it.where).items()}
        for number, channel in lift.asked:
            if number not in held:
                continue
            back = held[number][f"{channel}_consent"] != "unsubscribed"
            assert back or not self.model.lifting.must_be_in(lift, number, channel), (
                f"who may be written to again is still out: {it.where} {number} {channel}"
            )
            self.model.lifting.over(lift, number, channel, came_back=back)
        plan = self.do(self._plan(it.id))
        if it.expected is not None and not it.late:
            _within(plan["applied"], it.expected, len(it.rows))

    def _see_what_stands(self) -> None:
        """Only what a file may lift was ever released, but for what the client has taken back itself."""
        answer = self.do(self.street.ledger(self.client))
        places = {str(self.lists[lift.where]) for lift in self.lifts}
        for entry in answer:
            if entry["released_at"] is None or entry["id"] in self.taken_back:
                continue
            assert (entry["reason"], entry["scope"], entry["list"] in places) == (
                "unsubscribe",
                "list",
                True,
            ), entry
            said = self.entries.get(entry["id"], ())
            assert any(
                all(no.where == lift.where and no.at <= lift.until for no in said) for lift in self.lifts
            ), f"a file lifted what was said later: {said}"

    # -- and back

    def _undo(self, import_id: str) -> None:
        done = self.done[import_id]
        self._in_turn(done.where)
        asked = self.do(self.street.undo(self.client, import_id))
        assert asked.status_code == (404 if done.undone else 204), asked.text
        if done.undone:
            return
        self.do(self.street.contacts.follow.catch_up())
        found = self.do(self._read(done.where))
        # A contact is as it was made as long as nobody but the file itself has written it.
        came = Counter(number for number, _, _ in done.lift.back) if done.lift is not None else Counter[int]()
        version = {c.number: found[key]["version"] for key, c in self.model.of(done.where).items()}
        made = {c.number for c in done.created}
        unwritten = {number for number in made & version.keys() if version[number] == 1 + came[number]}
        assert not unwritten & {c.number for c in done.created if c.fields != c.born}
        taken = self.model.undo(done, unwritten)
        done.undone = True
        plan, _ = self.do(self._applied(import_id, state="undone"))
        self._conclude()
        assert plan["undone"] == vars(taken)
        self._compare(done.where, caught_up=True)


def _within(counts: Mapping[str, int], expected: Expected, rows: int) -> None:
    """Whether the counts are among what a client may expect, and sum to the rows."""
    assert counts["rows"] == rows
    told = sum(many for name, many in counts.items() if name not in ("rows", "removed"))
    assert told == rows, counts
    for name, least in expected.least.items():
        assert least <= counts[name] <= expected.most[name], (name, counts, expected)


def _nobody(it: Import) -> int:
    """Rows of an opt-out file that name nobody."""
    return sum(people_of([row], it.channel) == [] for row in it.rows)
