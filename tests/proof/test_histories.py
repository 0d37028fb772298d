"""proof: opt_out_survives_import_deletion_and_erasure, in random histories of one account on real PostgreSQL.

A history is a run of rules; `history_model` says what every client was told, and is asked after each of them. To add a rule:
a method of the model that says what it means to a client, a `@rule` here that does it at a door and compares. What the
houses do by themselves must be a rule too (see `something_late_arrives`), so that it may happen late or twice.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import hypothesis.strategies as st
import pytest
import uvloop
from history_model import ADDRESS, CHANNELS, FIELDS, Channel, Contact, Fields, Model, No, folded
from history_street import Street, street_on
from history_undo import Done
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from mailmaker.contacts.actions.hear_imports import approve

HISTORIES = int(os.environ.get("PROOF_HISTORIES", "500"))
SEED = int(os.environ.get("PROOF_SEED", str(random.randrange(1 << 32))))
STEPS = 14
AT_ONCE = 500
LISTS = {"mail": "email", "club": "email", "crm": "fkey"}
EMPTY = ("keep", "erase")
Answer = TypeVar("Answer")

# Few people, so that their paths cross.
PEOPLE = 5
where = st.sampled_from(sorted(LISTS))
someone = st.integers(0, PEOPLE - 1)
emails = st.builds(lambda i, loud: f"{'P' if loud else 'p'}{i}@x.test", someone, st.booleans())
mobiles = st.builds("+39333000000{}".format, someone)
fkeys = st.builds("k{}".format, someone)
names = st.sampled_from(("Ada", "Bea", None))
channels = st.sampled_from(CHANNELS)
picks = st.integers(0, 40)
modes = st.sampled_from(("incremental", "full", "add", "update"))
by_email = st.fixed_dictionaries({"email": emails, "mobile": st.none() | mobiles, "name": names})
by_fkey = st.fixed_dictionaries({"fkey": fkeys, "email": st.none() | emails, "name": names})


def a_row(of: str) -> st.SearchStrategy[Fields]:
    return by_fkey if LISTS[of] == "fkey" else by_email


rows = where.flatmap(lambda of: st.tuples(st.just(of), a_row(of)))
files = where.flatmap(lambda of: st.tuples(st.just(of), st.lists(a_row(of), min_size=1, max_size=PEOPLE + 1)))
wishes = rows.flatmap(lambda of: st.tuples(st.just(of[0]), st.just(of[1]), st.sets(channels, max_size=1)))


class Histories(RuleBasedStateMachine):
    """One account with three lists, from its first day to the moment at which everything late has arrived."""

    street: ClassVar[Street]
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(LISTS)
        self.client = self.do(self.street.fresh())
        self.lists = {name: self.do(self.client.open_list(key)) for name, key in LISTS.items()}
        self.ids: dict[int, UUID] = {}
        self.unborn: set[int] = set()
        """Contacts that one batch created and removed: no mail was ever for them."""
        self.files: list[tuple[str, list[Fields]]] = []
        self.done: dict[str, Done] = {}
        self.manual: dict[str, No] = {}
        """Entries that the client may release."""
        self.heard: list[tuple[Any, ...]] = []

    def do(self, what: Awaitable[Answer]) -> Answer:
        async def now() -> Answer:
            await self.street.look_for_keys()
            return await what

        return self.runner.run(now())

    # -- files

    @rule(
        file=files,
        mode=modes,
        empty=st.sampled_from(EMPTY),
        but=st.sets(st.sampled_from(("email", "mobile", "name")), max_size=2),
        watched=st.sampled_from((True, False, False, False)),
    )
    def a_file_is_imported(
        self, file: tuple[str, list[Fields]], mode: str, empty: str, but: set[str], watched: bool
    ) -> None:
        """`but`: fields whose empty cells do the other thing."""
        self.files.append(file)
        self._import(*file, mode, empty, frozenset(but), watched)

    @precondition(lambda self: self.files)
    @rule(pick=picks, mode=modes)
    def an_older_file_is_imported_again(self, pick: int, mode: str) -> None:
        self._import(*self.files[pick % len(self.files)], mode, "keep", frozenset(), False)

    @precondition(lambda self: self.done)
    @rule(pick=picks)
    def an_import_is_undone(self, pick: int) -> None:
        """One of the last few: what came between may have changed all that it did."""
        latest = list(self.done)[-4:]
        self._undo(latest[pick % len(latest)])

    @precondition(lambda self: self.taken_off())
    @rule(pick=picks, how=st.sampled_from(("link", "system", "erased", "back")))
    def who_a_file_removed_speaks_before_it_is_undone(self, pick: int, how: str) -> None:
        """The undo brings others back, but raises no consent, and not whoever was erased or has come back by themselves."""
        taken_off = self.taken_off()
        import_id, c = taken_off[pick % len(taken_off)]
        if how == "link":
            self._click(c.number, contacts_away=False)
        elif how == "system" and (address := c.fields["email"]) is not None:
            self._say("email", c.where, email=address)
            self.model.say_no(No("email", c.where, c.named("email")))
        elif how == "erased":
            self._erase_left(c)
        elif how == "back":
            self.a_contact_is_written((c.where, {LISTS[c.where]: c.fields[LISTS[c.where]]}, set()))
        self._undo(import_id)

    def taken_off(self) -> list[tuple[str, Contact]]:
        """Imports that may be undone, each with somebody it has removed and who is away."""
        return [
            (import_id, c)
            for import_id, done in self.done.items()
            if not done.undone
            for c, _ in done.removed
            if not c.here
        ]

    def _undo(self, import_id: str) -> None:
        done = self.done[import_id]
        asked = self.do(self.street.undo(self.client, import_id))
        assert asked.status_code == (404 if done.undone else 204), asked.text
        if done.undone:
            return
        self.do(self.street.contacts.follow.catch_up())
        found = self.do(self._read(done.where))
        unwritten = {c.number for key, c in self.model.of(done.where).items() if found[key]["version"] == 1}
        assert not unwritten & {c.number for c in self.model.contacts if c.fields != c.born}
        taken = self.model.undo(done, unwritten)
        done.undone = True
        plan = self.do(self._applied(import_id, "undone"))
        assert plan["undone"] == vars(taken)
        self._compare(done.where, caught_up=True)

    def _import(
        self, of: str, file: list[Fields], mode: str, empty: str, but: frozenset[str], watched: bool
    ) -> None:
        erases = frozenset(FIELDS) - but if empty == "erase" else but
        expected = self.model.expect(of, file, mode, erases)
        before = self.model.shown(of)
        plan, seen = self.do(self._imported(of, file, mode, empty, but, watched))
        self.done[plan["import_id"]] = self.model.apply(of, file, mode, erases)
        counts = plan["counts"]
        assert counts == plan["applied"]
        assert counts["rows"] == len(file)
        assert sum(many for name, many in counts.items() if name not in ("rows", "removed")) == len(file), (
            counts
        )
        for name, least in expected.least.items():
            assert least <= counts[name] <= expected.most[name], (name, counts, expected)
        after = self.model.shown(of)
        assert all(one in (before, after) for one in seen), (
            "a reader saw neither the old list nor the new one"
        )
        self._compare(of, caught_up=True)

    async def _imported(
        self, of: str, file: list[Fields], mode: str, empty: str, but: frozenset[str], watched: bool
    ) -> tuple[Mapping[str, Any], list[Any]]:
        """The file as ingest stages it: each key once, its last row. Read meanwhile, if it is `watched`."""
        rig, kind = self.street.contacts, LISTS[of]
        last = {folded(kind, row[kind]): row for row in file}
        staged = [{name: value or "" for name, value in row.items()} for row in last.values()]
        fields = list(file[0])
        other = EMPTY[1 - EMPTY.index(empty)]
        by_field = dict.fromkeys(sorted(but & {*fields}), other)
        import_id, many = rig.stage(staged, fields, key=kind, seed=repr((mode, empty, by_field)))
        more = {
            "mode": mode,
            "empty_cells": empty,
            "empty_cells_by_field": by_field,
            "rows": len(file),
            "duplicate": len(file) - many,
        }
        self.heard.append((self.lists[of], import_id, many, fields, more))
        await rig.hear(self.client, self.lists[of], import_id, many, fields, **more)
        applying = asyncio.create_task(self._applied(import_id))
        seen = []
        while watched and not applying.done():
            seen.append({key: _fields(item) for key, item in (await self._read(of)).items()})
            await asyncio.sleep(0.005)
        return await applying, seen

    async def _applied(self, import_id: str, state: str = "applied") -> Mapping[str, Any]:
        while True:
            while await self.street.contacts.imports.step():
                pass
            plan = (await self.client.ask("GET", f"/v1/plans/{import_id}")).json()
            if plan["state"] != "quarantined":
                assert plan["state"] == state, plan
                return dict(plan)
            assert await approve(self.street.contacts.house, self.client.account, UUID(import_id))

    # -- writes by API

    @rule(wish=wishes)
    def a_contact_is_written(self, wish: tuple[str, Fields, set[Channel]]) -> None:
        of, row, says_no = wish
        body = {**row, **{f"{channel}_consent": "unsubscribed" for channel in says_no}}
        answer = self.do(self.client.ask("PUT", f"/v1/lists/{self.lists[of]}/contacts", body))
        assert answer.status_code in (200, 201), answer.text
        told = answer.json()
        self._written(of, row, says_no, told["result"], told["changed"], told["contact"]["id"])

    @rule(many=where.flatmap(lambda of: st.tuples(st.just(of), st.lists(st.tuples(
        a_row(of), st.sampled_from(("upsert", "upsert", "remove")), st.sets(channels, max_size=1)
    ), min_size=1, max_size=6))))  # fmt: skip
    def a_batch_is_written(self, many: tuple[str, list[tuple[Fields, str, set[Channel]]]]) -> None:
        of, items = many
        body = [
            {"op": op, "contact": {**row, **{f"{channel}_consent": "unsubscribed" for channel in says_no}}}
            if op == "upsert"
            else {"op": op, "contact": {LISTS[of]: row[LISTS[of]]}}
            for row, op, says_no in items
        ]
        answer = self.do(
            self.client.ask("POST", f"/v1/lists/{self.lists[of]}/contacts:batch", {"items": body})
        )
        assert answer.status_code == 200, answer.text
        first = len(self.model.contacts)
        for (row, op, says_no), told in zip(items, answer.json()["items"], strict=True):
            held = self.model.of(of).get(folded(LISTS[of], row[LISTS[of]]) or "")
            if op == "upsert":
                self._written(of, row, says_no, told["result"], told["changed"], told["id"])
            elif held is None:
                assert told["result"] == "absent"
            else:
                assert (told["result"], told["id"]) == ("removed", str(self._id(held)))
                self.model.remove(held)
        self.unborn |= {c.number for c in self.model.contacts[first:] if not c.here}

    def _written(
        self, of: str, row: Fields, says_no: set[Channel], result: str, changed: list[str], contact: str
    ) -> None:
        known = {number: id for number, id in self.ids.items() if self.model.contacts[number].here}
        c = self.model.write(of, row)
        assert (result == "created") == (c.number not in known)
        assert self.ids.setdefault(c.number, UUID(contact)) == UUID(contact)
        for channel in says_no:
            if result == "created" or f"{channel}_consent" in changed:
                self.model.withdraw(c, channel)
            else:
                self.model.withdraw_again(c, channel)

    @precondition(lambda self: any(c.here for c in self.model.contacts))
    @rule(pick=picks, name=names, email=st.none() | emails, says_no=st.none() | channels)
    def a_contact_is_changed(
        self, pick: int, name: str | None, email: str | None, says_no: Channel | None
    ) -> None:
        """An e-mail changed in a list keyed by it moves the contact to another key; in the other it is a new address."""
        c = self._pick(pick)
        wish: dict[str, str | None] = {"name": name} | ({} if email is None else {"email": email})
        body = wish | ({} if says_no is None else {f"{says_no}_consent": "unsubscribed"})
        other = (
            self.model.of(c.where).get(folded("email", email) or "") if LISTS[c.where] == "email" else None
        )
        was_in = says_no is not None and not self.model.may_be_out(c, says_no)
        answer = self.do(self.client.ask("PATCH", self._path(c), body))
        if other not in (None, c):
            assert answer.status_code == 409, answer.text
            return
        assert answer.status_code == 200, answer.text
        self.model.change(c, wish)
        assert _fields(answer.json()) == c.fields
        if says_no is not None:
            assert answer.json()[f"{says_no}_consent"] == "unsubscribed"
            if was_in:
                self.model.withdraw(c, says_no)
            else:
                self.model.withdraw_again(c, says_no)

    @precondition(lambda self: any(len(self.model.of(of)) > 1 for of in LISTS))
    @rule(pick=picks, with_=picks, keep=st.dictionaries(
        st.sampled_from(FIELDS), st.sampled_from(("this", "other")), max_size=3
    ), says_no=st.booleans())  # fmt: skip
    def two_records_become_one(self, pick: int, with_: int, keep: dict[str, str], says_no: bool) -> None:
        """The stricter word of the two stays, also for what their mails' links say later."""
        lists = [of for of in LISTS if len(self.model.of(of)) > 1]
        of = lists[pick % len(lists)]
        here = [c for c in self.model.contacts if c.here and c.where == of]
        this = here[pick % len(here)]
        other = [c for c in here if c is not this][with_ % (len(here) - 1)]
        self.do(self.street.contacts.follow.catch_up())
        self._compare(of, caught_up=True)
        found = {item["id"]: item for item in self.do(self._read(of)).values()}
        lowered = [
            channel
            for channel in CHANNELS
            if found[str(self._id(other))][f"{channel}_consent"] == "unsubscribed"
            and found[str(self._id(this))][f"{channel}_consent"] != "unsubscribed"
        ]
        wish = {"other": str(self._id(other)), "keep": keep}
        answer = self.do(self.client.ask("POST", self._path(this) + ":merge", wish))
        assert answer.status_code == 200, answer.text
        assert answer.json()["removed"] == str(self._id(other))
        self.model.merge(this, other, keep, lowered)
        self._compare(of, caught_up=True)
        if says_no:
            self._click(other.number, contacts_away=False)

    @precondition(lambda self: self.left())
    @rule(pick=picks)
    def who_has_left_is_erased(self, pick: int) -> None:
        """A person is named by the contact that they are now; by an earlier one only when there is none."""
        left = self.left()
        self._erase_left(left[pick % len(left)])

    def _erase_left(self, c: Contact) -> None:
        answer = self.do(self.client.ask("POST", self._path(c) + ":erase"))
        if c.erased:
            assert answer.status_code == 404, answer.text
        elif (now := self.model.elsewhere(c)) is not None:
            assert (answer.status_code, str(self._id(now)) in answer.json()["detail"]) == (409, True)
        else:
            assert answer.status_code == 204, answer.text
            self.model.erase(c)

    def left(self) -> list[Contact]:
        """Whom a client may still know by id."""
        return [
            c
            for c in self.model.contacts
            if not c.here and c.number in self.ids and c.number not in self.unborn
        ]

    @precondition(lambda self: any(c.here for c in self.model.contacts))
    @rule(pick=picks, how=st.sampled_from(("removed", "erased")))
    def a_contact_leaves(self, pick: int, how: str) -> None:
        c = self._pick(pick)
        verb, path = ("DELETE", self._path(c)) if how == "removed" else ("POST", self._path(c) + ":erase")
        assert self.do(self.client.ask(verb, path)).status_code == 204
        if how == "removed":
            self.model.remove(c)
        else:
            self.model.erase(c)

    # -- "no"s

    @rule(
        who=st.one_of(
            st.tuples(st.just("email"), emails),
            st.tuples(st.just("mobile"), mobiles),
            st.tuples(channels, fkeys),
        ),
        of=st.none() | where,
        manual=st.booleans(),
    )
    def a_system_says_no(self, who: tuple[str, str], of: str | None, manual: bool) -> None:
        """For an address or a number, in one list or all; for the client's own key, in its list. `manual`: not the
        person's word, so that the client may take it back."""
        name, value = who
        by_key = value.startswith("k")
        channel: Channel = "sms" if name in ("sms", "mobile") else "email"
        if by_key:
            said = No(channel, "crm", fkey=("crm", value), manual=manual)
        else:
            said = No(channel, of, folded(name, value), manual=manual)
        entry = self._say(
            channel, said.where, "manual" if manual else "unsubscribe", **{"fkey" if by_key else name: value}
        )
        self.model.say_no(said)
        if manual:
            self.manual[entry] = said

    def _say(self, channel: Channel, of: str | None, reason: str = "unsubscribe", **person: str) -> str:
        scope = {"scope": "account"} if of is None else {"scope": "list", "list": str(self.lists[of])}
        wish = {"channel": channel, "reason": reason, **scope, **person}
        answer = self.do(self.street.say_no(self.client, **wish))
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    @precondition(lambda self: self.manual)
    @rule(pick=picks)
    def a_client_takes_its_own_no_back(self, pick: int) -> None:
        """It gives back what it took, and nothing that anybody said for themselves."""
        entry = list(self.manual)[pick % len(self.manual)]
        answer = self.do(self.street.take_back(self.client, entry))
        assert answer.status_code == 200, answer.text
        self.model.release(self.manual.pop(entry))

    @precondition(lambda self: self.ids.keys() - self.unborn)
    @rule(pick=picks, contacts_away=st.booleans())
    def a_person_uses_the_link_of_a_mail(self, pick: int, contacts_away: bool) -> None:
        """Also one whose contact has left since: the mail is still in their inbox."""
        mailed = sorted(self.ids.keys() - self.unborn)
        self._click(mailed[pick % len(mailed)], contacts_away=contacts_away)

    def _click(self, number: int, *, contacts_away: bool) -> None:
        self.street.to_contacts.cut = contacts_away
        try:
            answer = self.do(self.street.click(self.client, self.ids[number]))
        finally:
            self.street.to_contacts.cut = False
        assert answer.status_code == 200, answer.text
        self.model.click(self.model.contacts[number], contacts_away=contacts_away)

    # -- what is late, and what comes twice

    @rule(what=st.sampled_from(("feed", "hand-over", "completion", "all")))
    def something_late_arrives(self, what: str) -> None:
        if what in ("hand-over", "all"):
            self.do(self.street.carry())
            self.model.carried()
        if what in ("completion", "all"):
            self.do(self.street.complete.round())
            self.model.completed()
        if what in ("feed", "all"):
            self.do(self.street.follow())

    @rule(order=st.randoms(use_true_random=False))
    def events_come_again_in_any_order(self, order: random.Random) -> None:
        before = self.do(self.street.state(self.client))
        again: list[Any] = [
            *(("page", page) for page in self.street.pages),
            *(("post", said) for said in self.street.to_suppression.said),
            *(("staged", staged) for staged in self.heard),
        ]
        chosen = [order.choice(again) for _ in range(min(6, len(again)))]
        self.do(self._again(chosen))
        assert self.do(self.street.state(self.client)) == before

    async def _again(self, chosen: Sequence[tuple[str, Any]]) -> None:
        rig = self.street.contacts
        for kind, what in chosen:
            if kind == "page":
                await rig.follow._apply(what)
            elif kind == "post":
                await self.street.repost(*what)
            else:
                list_id, import_id, many, fields, more = what
                await rig.hear(self.client, list_id, import_id, many, fields, **more)
        assert not await rig.imports.step()

    # -- what must hold

    def teardown(self) -> None:
        self.do(self.street.settle(self.client))
        self.model.carried()
        self.model.completed()
        assert self.do(self.street.waiting(self.client)) == 0
        for of in LISTS:
            self._compare(of, caught_up=True)

    def _compare(self, of: str, *, caught_up: bool) -> None:
        """A list against what clients were told. `caught_up`: contacts has just heard every "no" recorded so far."""
        found, held = self.do(self._read(of)), self.model.of(of)
        assert {key: _fields(item) for key, item in found.items()} == self.model.shown(of)
        for key, item in found.items():
            c = held[key]
            assert self.ids.setdefault(c.number, UUID(item["id"])) == UUID(item["id"])
            for channel in CHANNELS:
                out = item[f"{channel}_consent"] == "unsubscribed"
                if caught_up:
                    assert out or not self.model.must_be_out(c, channel), (
                        f"a no was forgotten: {of} {key} {channel}"
                    )
                assert not out or self.model.may_be_out(c, channel), f"nobody said no: {of} {key} {channel}"
                if out:
                    c.out.add(channel)

    async def _read(self, of: str) -> dict[str, Mapping[str, Any]]:
        answer = await self.client.ask("GET", f"/v1/lists/{self.lists[of]}/contacts", params={"limit": 1000})
        assert answer.status_code == 200, answer.text
        return {folded(LISTS[of], item[LISTS[of]]) or "": item for item in answer.json()["items"]}

    def _pick(self, pick: int) -> Contact:
        here = [c for c in self.model.contacts if c.here]
        return here[pick % len(here)]

    def _id(self, c: Contact) -> UUID:
        return self.ids[c.number]

    def _path(self, c: Contact) -> str:
        return f"/v1/lists/{self.lists[c.where]}/contacts/{self._id(c)}"


def _fields(item: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: item[name] for name in (*ADDRESS.values(), "fkey", "name")}


@pytest.fixture
def street(postgres: str, tmp_path: Path) -> Iterator[None]:
    """A street for some hundred histories, each with an account of its own. Thousands of accounts would only slow it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        raised = street_on(postgres, tmp_path)
        Histories.street, Histories.runner = runner.run(raised.__aenter__()), runner
        try:
            yield
        finally:
            runner.run(raised.__aexit__(None, None, None))


@pytest.mark.timeout(7200)
@pytest.mark.usefixtures("street")
@pytest.mark.parametrize("part", range(0, HISTORIES, AT_ONCE))
def test_opt_out_survives_import_deletion_and_erasure(part: int) -> None:
    many = min(AT_ONCE, HISTORIES - part)
    print(f"PROOF_SEED={SEED + part} PROOF_HISTORIES={many}")
    run_state_machine_as_test(
        seed(SEED + part)(Histories),
        settings=settings(
            max_examples=many,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
