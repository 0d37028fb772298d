"""unit: what may be taken back, and what then still stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from mailmaker.suppression.domain.no import Place
from mailmaker.suppression.domain.reasons import RULES
from mailmaker.suppression.domain.release import Standing, liftable, lifted, only_by_person

LIST = uuid4()
HERE = Place("email", "list", LIST, b"a1", "manual")
EVERYWHERE = Place("email", "account", None, b"a1", "manual")


@pytest.mark.parametrize(
    ("reason", "personal"),
    [("unsubscribe", True), ("complaint", True), ("erased", True), ("hard_bounce", False), ("manual", False)],
)
def test_the_persons_word_is_the_persons(reason: str, personal: bool) -> None:
    assert only_by_person(reason) is personal  # type: ignore[arg-type]


def test_complaints_and_bounces_are_about_the_whole_account() -> None:
    assert {r: RULES[r].scope for r in ("unsubscribe", "complaint", "hard_bounce")} == {  # type: ignore[index]
        "unsubscribe": "list",
        "complaint": "account",
        "hard_bounce": "account",
    }


def test_what_nobody_else_holds_is_lifted_by_list() -> None:
    assert lifted([HERE, EVERYWHERE], []) == {LIST: (b"a1",), None: (b"a1",)}


def test_another_entry_keeps_the_place_whatever_its_kind() -> None:
    complaint = Place("email", "account", None, b"a1", "complaint")
    assert lifted([HERE, EVERYWHERE], [complaint]) == {LIST: (b"a1",)}


def test_another_channel_or_key_keeps_nothing() -> None:
    others = [Place("sms", "list", LIST, b"a1", "manual"), Place("email", "list", LIST, b"a2", "manual")]
    assert lifted([HERE], others) == {LIST: (b"a1",)}


AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
OPT_OUT = Standing("will", "list", frozenset({LIST}), AT)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (OPT_OUT, True),
        (replace(OPT_OUT, list_ids=frozenset({LIST, None})), True),
        (replace(OPT_OUT, last_said=AT + timedelta(microseconds=1)), False),
        (replace(OPT_OUT, scope="account", list_ids=frozenset({None})), False),
        (replace(OPT_OUT, list_ids=frozenset({UUID(int=9)})), False),
        (replace(OPT_OUT, list_ids=frozenset({LIST, UUID(int=9)})), False),
        (replace(OPT_OUT, list_ids=frozenset()), False),
        *((replace(OPT_OUT, kind=kind), False) for kind in ("complaint", "delivery", "erased", "manual")),
    ],
)
def test_an_import_lifts_the_lists_own_opt_out_that_is_older(entry: Standing, expected: bool) -> None:
    assert liftable(entry, LIST, AT) is expected
