"""proof: opt_out_survives_import_deletion_and_erasure, in random histories of one account on real PostgreSQL.

A history is a run of rules; `history_model` says what every client was told, and is asked after each of them. To add a rule:
a method of the model that says what it means to a client, a `@rule` here that does it at a door and compares. What the
houses do by themselves must be a rule too (see `something_late_arrives`), so that it may happen late or twice.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
import uvloop
from history_files import Files, Import, modes
from history_machine import (
    LISTS,
    a_row,
    channels,
    emails,
    fields_of,
    fkeys,
    mobiles,
    names,
    picks,
    rows,
    where,
)
from history_people import CHANNELS, FIELDS, Channel, Contact, Fields, No, Reason, folded
from history_street import street_on
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

HISTORIES = int(os.environ.get("PROOF_HISTORIES", "500"))
SEED = int(os.environ.get("PROOF_SEED", str(random.randrange(1 << 32))))
STEPS = 14
AT_ONCE = 500
REASONS: tuple[Reason, ...] = ("unsubscribe", "unsubscribe", "manual", "complaint", "hard_bounce")

wishes = rows.flatmap(lambda of: st.tuples(st.just(of[0]), st.just(of[1]), st.sets(channels, max_size=1)))


class Histories(Files):
    """One account with three lists, from its first day to the moment at which everything late has arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.unborn: set[int] = set()
        """Contacts that one batch created and removed: no mail was ever for them."""
        self.manual: dict[str, No] = {}
        """Entries that are nobody's own word: the client may release them."""

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
        assert fields_of(answer.json()) == c.fields
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
        if c.erased or c.where not in LISTS:
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

    @precondition(lambda self: self.taken_off())
    @rule(pick=picks, how=st.sampled_from(("link", "system", "erased", "back")))
    def who_a_file_removed_speaks_before_it_is_undone(self, pick: int, how: str) -> None:
        """The undo brings others back, but raises no consent, and not whoever was erased or has come back by themselves."""
        taken_off = self.taken_off()
        import_id, c = taken_off[pick % len(taken_off)]
        if how == "link":
            self._click(c.number, contacts_away=False)
        elif how == "system" and (address := c.fields["email"]) is not None:
            self._say(No("email", c.where, c.named("email")), email=address)
        elif how == "erased":
            self._erase_left(c)
        elif how == "back":
            self.a_contact_is_written((c.where, {LISTS[c.where]: c.fields[LISTS[c.where]]}, set()))
        self._undo(import_id)

    @precondition(lambda self: any(c.here for c in self.model.contacts))
    @rule(
        pick=picks,
        mode=modes,
        how=st.sampled_from(("link", "system", "write")),
        when=st.sampled_from(("before", "since", "meanwhile")),
        first=st.sampled_from(REASONS),
        undone=st.booleans(),
    )
    def who_opted_out_is_brought_back(
        self, pick: int, mode: str, how: str, when: str, first: Reason, undone: bool
    ) -> None:
        """They said no to the list, and say it again: before they consent anew, since, or while suppression is asked."""
        c = self._pick(pick)
        if (address := c.fields["email"]) is not None:
            self._say(No("email", c.where, c.named("email"), reason=first), email=address)
        if when == "before":
            self._speak(c, how)
        since = self.sent_now(c) if when == "since" else None
        if when == "since":
            self._speak(c, how)
        row = {
            name: value for name, value in c.fields.items() if LISTS[c.where] == "email" or name != "mobile"
        }
        it = Import(c.where, [row], mode, since=since, lawful=True, late=when == "meanwhile")
        self._import(it)
        if when == "meanwhile" and c.here:
            self._speak(c, how)
            self.answer()
        if undone:
            self._undo(it.id)

    def _speak(self, c: Contact, how: str) -> None:
        if how == "link":
            self._click(c.number, contacts_away=False)
        elif how == "write":
            self.a_contact_is_written((c.where, {LISTS[c.where]: c.fields[LISTS[c.where]]}, {"email"}))
        elif (address := c.fields["email"]) is not None:
            self._say(No("email", c.where, c.named("email")), email=address)

    # -- "no"s

    @precondition(lambda self: any(no.address and no.channel == "email" for no in self.model.nos))
    @rule(pick=picks, reason=st.sampled_from(REASONS), where_=st.sampled_from(("there", "everywhere")))
    def somebody_is_spoken_of_again(self, pick: int, reason: Reason, where_: str) -> None:
        """For another reason, or in other lists too: what was said first is not forgotten."""
        said = [
            no for no in self.model.nos if no.address and no.channel == "email" and no.where in (None, *LISTS)
        ]
        if said:
            no = said[pick % len(said)]
            of = no.where if where_ == "there" else None
            self._say(No("email", of, no.address, reason=reason), email=no.address or "")

    @rule(
        who=st.one_of(
            st.tuples(st.just("email"), emails),
            st.tuples(st.just("mobile"), mobiles),
            st.tuples(channels, fkeys),
        ),
        of=st.none() | where,
        reason=st.sampled_from(REASONS),
    )
    def a_system_says_no(self, who: tuple[str, str], of: str | None, reason: Reason) -> None:
        """For an address or a number, in one list or all; for the client's own key, in its list. What is not the person's
        word, the client may take back."""
        name, value = who
        channel: Channel = "sms" if name in ("sms", "mobile") else "email"
        if value.startswith("k"):
            self._say(No(channel, "crm", fkey=("crm", value), reason=reason), fkey=value)
        else:
            self._say(No(channel, of, folded(name, value), reason=reason), **{name: value})

    def _say(self, no: No, **person: str) -> None:
        scope = (
            {"scope": "account"} if no.where is None else {"scope": "list", "list": str(self.lists[no.where])}
        )
        wish = {"channel": no.channel, "reason": no.reason, **scope, **person}
        answer = self.do(self.street.say_no(self.client, **wish))
        assert answer.status_code in (200, 201), answer.text
        self.model.say_no(no)
        entry = str(answer.json()["id"])
        self.entries.setdefault(entry, []).append(self.model.nos[-1])
        if no.reason in ("manual", "hard_bounce"):
            self.manual[entry] = no

    @precondition(lambda self: self.manual)
    @rule(pick=picks)
    def a_client_takes_its_own_no_back(self, pick: int) -> None:
        """It gives back what it took, and nothing that anybody said for themselves."""
        entry = list(self.manual)[pick % len(self.manual)]
        answer = self.do(self.street.take_back(self.client, entry))
        assert answer.status_code == 200, answer.text
        self.taken_back[entry] = self.manual.pop(entry)
        self.model.release(self.taken_back[entry])

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

    @rule(
        meanwhile=st.none() | st.tuples(st.just("email"), emails) | st.tuples(st.just("link"), picks),
        late=st.booleans(),
    )
    def the_account_is_closed_and_opened_again(self, meanwhile: tuple[str, Any] | None, late: bool) -> None:
        """Whatever is said meanwhile is heard; nothing else is. What stood before stands after."""
        self.do(self.street.close(self.client))
        path = f"/v1/lists/{self.lists['mail']}/contacts"
        for method, body in (("GET", None), ("PUT", {"email": "p0@x.test"})):
            refused = self.do(self.client.ask(method, path, body))
            assert (refused.status_code, refused.json()["code"]) == (403, "account_closed")
        if meanwhile is not None:
            name, value = meanwhile
            mailed = sorted(self.ids.keys() - self.unborn)
            if name == "email":
                self._say(No("email", None, folded("email", value)), email=value)
            elif mailed:
                self._click(mailed[value % len(mailed)], contacts_away=False)
        if late:
            self.something_late_arrives("all")
        self.do(self.street.reopen(self.client))
        if late:
            for of in LISTS:
                self._compare(of, caught_up=True)

    @rule(of=where, unlikely=st.integers(0, 2))
    def a_list_is_closed_and_another_opened(self, of: str, unlikely: int) -> None:
        """Its contacts go. What somebody said to the whole account, and who was erased, the new one meets."""
        if unlikely:
            return
        gone = f"{of} {len(self.lists)}"
        self.closing(of, gone)
        assert self.do(self.client.ask("DELETE", f"/v1/lists/{self.lists[of]}")).status_code == 204
        renamed = self.model.close(of, gone)
        self.entries = {entry: [renamed(no) for no in nos] for entry, nos in self.entries.items()}
        self.manual = {entry: renamed(no) for entry, no in self.manual.items()}
        self.lists[gone], self.lists[of] = self.lists[of], self.do(self.client.open_list(LISTS[of]))

    # -- what is late, and what comes twice

    @rule(what=st.sampled_from(("feed", "hand-over", "files", "completion", "all")))
    def something_late_arrives(self, what: str) -> None:
        if what in ("files", "all"):
            self.carry_files()
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
        self.look()
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
        self.answer()
        self.do(self.street.settle(self.client))
        self.model.carried()
        self.model.completed()
        assert self.do(self.street.waiting(self.client)) == 0
        for of in LISTS:
            self._compare(of, caught_up=True)


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
