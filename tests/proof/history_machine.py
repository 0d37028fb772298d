"""proof: an account in a history: its lists, what its client is told of them, and how that is compared with the model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import hypothesis.strategies as st
from history_model import Model
from history_people import ADDRESS, CHANNELS, Contact, Fields, No, folded
from history_street import Street
from hypothesis.stateful import RuleBasedStateMachine

LISTS = {"mail": "email", "club": "email", "crm": "fkey"}
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
by_email = st.fixed_dictionaries({"email": emails, "mobile": st.none() | mobiles, "name": names})
by_fkey = st.fixed_dictionaries({"fkey": fkeys, "email": st.none() | emails, "name": names})


def a_row(of: str) -> st.SearchStrategy[Fields]:
    return by_fkey if LISTS[of] == "fkey" else by_email


rows = where.flatmap(lambda of: st.tuples(st.just(of), a_row(of)))


class Account(RuleBasedStateMachine):
    """One account with three lists, and its client."""

    street: ClassVar[Street]
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(LISTS)
        self.client = self.do(self.street.fresh())
        self.lists = {name: self.do(self.client.open_list(key)) for name, key in LISTS.items()}
        self.ids: dict[int, UUID] = {}
        self.entries: dict[str, list[No]] = {}
        """What suppression has answered with the number of an entry."""
        self.taken_back: dict[str, No] = {}
        """Entries that the client has released."""

    def do(self, what: Awaitable[Answer]) -> Answer:
        async def now() -> Answer:
            await self.street.look_for_keys()
            return await what

        return self.runner.run(now())

    def _compare(self, of: str, *, caught_up: bool) -> None:
        """A list against what clients were told. `caught_up`: contacts has just heard every "no" recorded so far."""
        held = self.model.of(of)
        if of not in LISTS:
            self._see_it_closed(of)
            assert not held
            return
        found = self.do(self._read(of))
        assert {key: fields_of(item) for key, item in found.items()} == self.model.shown(of)
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

    def _see_it_closed(self, of: str) -> None:
        """An opt-out file of a list may be approved after the list was closed."""
        answer = self.do(self.client.ask("GET", f"/v1/lists/{self.lists[of]}/contacts"))
        assert answer.status_code == 404, answer.text

    def _pick(self, pick: int) -> Contact:
        here = [c for c in self.model.contacts if c.here]
        return here[pick % len(here)]

    def _id(self, c: Contact) -> UUID:
        return self.ids[c.number]

    def _path(self, c: Contact) -> str:
        return f"/v1/lists/{self.lists[c.where]}/contacts/{self._id(c)}"


def fields_of(item: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: item[name] for name in (*ADDRESS.values(), "fkey", "name")}
