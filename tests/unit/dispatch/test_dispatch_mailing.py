"""tests: mailing states, counts that sum, directives, DNS findings: no I/O."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.common.storage.ids import new_id
from mailmaker.dispatch.actions.add_template import TemplateWish
from mailmaker.dispatch.domain.audience import merge_fields, parts_without_unsubscribe
from mailmaker.dispatch.domain.counts import CANCELLABLE, STATES, UNSETTLED, counts_of
from mailmaker.dispatch.domain.directives import Directive, latest, removals_of, stopping
from mailmaker.dispatch.domain.mailing import state_after

ACCOUNT, LIST = new_id(), new_id()


@given(st.dictionaries(st.sampled_from(STATES), st.integers(0, 10**9)))
def test_counts_sum_to_planned(by_state: dict[str, int]) -> None:
    counts = counts_of(by_state).as_dict()
    assert len(counts) == 12
    assert counts.pop("planned") == sum(counts.values()) == sum(by_state.values())


@given(st.dictionaries(st.sampled_from(STATES), st.integers(0, 10**9)))
def test_settled_is_what_no_longer_moves(by_state: dict[str, int]) -> None:
    assert counts_of(by_state).settled == sum(n for state, n in by_state.items() if state not in UNSETTLED)


def test_an_unknown_state_is_never_a_lost_recipient() -> None:
    with pytest.raises(ValueError, match="unknown message states"):
        counts_of({"vanished": 1})


def test_what_has_begun_cannot_be_cancelled() -> None:
    assert "sending" not in CANCELLABLE
    assert {"sending"} == UNSETTLED - CANCELLABLE


@pytest.mark.parametrize(
    ("state", "verb", "scheduled", "target"),
    [
        ("draft", "start", False, "running"),
        ("draft", "start", True, "scheduled"),
        ("running", "pause", False, "paused"),
        ("paused", "resume", False, "running"),
        ("paused", "cancel", False, "cancelled"),
        ("running", "start", False, "running"),
        ("cancelled", "cancel", False, "cancelled"),
        ("finished", "cancel", False, None),
        ("cancelled", "resume", False, None),
        ("draft", "pause", False, None),
        ("finished", "start", False, None),
        ("paused", "start", False, None),
    ],
)
def test_verbs_lead_where_they_may(state: str, verb: str, scheduled: bool, target: str | None) -> None:
    assert state_after(state, verb, scheduled=scheduled) == target  # type: ignore[arg-type]


def directive(number: int, subject: bytes = b"a1", *, released: bool = False) -> Directive:
    return Directive(ACCOUNT, "email", subject, LIST, "feed", number, released, None, "unsubscribe")


@given(st.lists(st.tuples(st.integers(1, 50), st.sampled_from([b"a1", b"a2", b"c3"]), st.booleans())))
def test_the_last_word_on_a_key_stands_in_whatever_order_it_comes(
    words: list[tuple[int, bytes, bool]],
) -> None:
    unique = {number: directive(number, subject, released=released) for number, subject, released in words}
    found = latest(unique.values())
    assert found == latest(reversed(unique.values()))
    assert [d.key for d in found] == sorted({d.key for d in unique.values()})
    for one in found:
        assert one.number == max(d.number for d in unique.values() if d.key == one.key)


def test_a_release_stops_nobody() -> None:
    assert stopping([directive(1), directive(2, released=True)]) == [directive(1)]


def test_a_removed_contact_is_stopped_in_every_channel_and_by_its_id() -> None:
    contact = new_id()
    found = removals_of(ACCOUNT, LIST, [contact], [7], "contact_removed")
    assert {d.channel for d in found} == {"email", "sms"}
    assert {d.contact_id for d in found} == {contact}


def test_only_a_contact_subject_names_a_contact() -> None:
    assert directive(1, b"a" + bytes(16)).contact_id is None
    assert directive(1, b"c" + bytes(16)).contact_id == UUID(int=0)


def test_only_fields_of_the_recipient_are_asked_for() -> None:
    assert merge_fields(["name", "unsubscribe_url", "city", "name"]) == ("city", "name")


def test_each_written_part_needs_its_unsubscribe_link() -> None:
    uses = {"html": {"unsubscribe_url"}, "text": {"name"}}
    assert parts_without_unsubscribe(uses, {"html": "<a>", "text": "hi"}) == ("text",)
    assert parts_without_unsubscribe(uses, {"html": "<a>", "text": "  "}) == ()
    assert TemplateWish("", "email", "s", "h", "t", "marketing").sources == {
        "subject": "s",
        "html": "h",
        "text": "t",
    }
