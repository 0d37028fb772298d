"""unit: ids, cursors, replies, demo people: small things that many rooms stand on."""

from __future__ import annotations

import contextlib
import itertools
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.common.demo.people import HEADER, people
from mailmaker.common.mail.address import canonical_address
from mailmaker.common.mail.reply import parse_reply
from mailmaker.common.mail.tokens import Purpose
from mailmaker.common.mail.verp import bounce_address, parse_local_part, unsubscribe_address
from mailmaker.common.storage.ids import new_id, new_ids
from mailmaker.common.storage.keyset import decode_cursor, encode_cursor
from mailmaker.common.web.problem import Invalid


def test_ids_ascend_and_say_their_version() -> None:
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {(i.version, i.variant) for i in ids} == {(7, "specified in RFC 4122")}


def test_ids_made_at_once_are_like_those_made_one_by_one() -> None:
    ids = [new_id(), *map(UUID, new_ids(10_000)), new_id(), *map(UUID, new_ids(1)), new_id()]
    assert ids == sorted(set(ids))
    assert {(i.version, i.variant) for i in ids} == {(7, "specified in RFC 4122")}
    assert len({i.int & ((1 << 62) - 1) for i in ids}) == len(ids)
    assert new_ids(0) == []


@given(st.lists(st.one_of(st.text(max_size=20), st.integers()), min_size=1, max_size=4))
def test_a_cursor_comes_back(position: list[str | int]) -> None:
    assert decode_cursor(encode_cursor(*position)) == tuple(position)


@given(st.text(max_size=40))
def test_a_strange_cursor_is_refused(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert all(isinstance(part, str | int) for part in decode_cursor(text))


@pytest.mark.parametrize(
    ("lines", "code", "enhanced", "text"),
    [
        ([b"250 2.0.0 Ok: queued"], 250, "2.0.0", "Ok: queued"),
        ([b"550-5.1.1 no such", b"550 5.1.1 mailbox"], 550, "5.1.1", "no such mailbox"),
        ([b"421 4.7.32 come again"], 421, "4.7.32", "come again"),
        ([b"250"], 250, None, ""),
    ],
)
def test_replies(lines: list[bytes], code: int, enhanced: str | None, text: str) -> None:
    reply = parse_reply(lines)
    assert (reply.code, reply.enhanced, reply.text) == (code, enhanced, text)
    assert (reply.positive, reply.temporary, reply.permanent).count(True) == 1


def test_what_is_no_reply() -> None:
    for lines in ([], [b""], [b"hello"]):
        with pytest.raises(ValueError, match="not an SMTP reply"):
            parse_reply(lines)


def test_verp_addresses_are_read_in_any_case() -> None:
    token = "a" * 56
    for address, purpose in (
        (bounce_address(token, "d.test"), Purpose.BOUNCE),
        (unsubscribe_address(token, "d.test"), Purpose.MAIL_UNSUBSCRIBE),
    ):
        local = address.partition("@")[0]
        assert len(local) <= 64
        assert parse_local_part(local.upper()) == (purpose, token)
    for local in ("b", "b+", "b+short", "x+" + token, "b" + token):
        assert parse_local_part(local) is None


def test_demo_people_are_the_same_each_time_and_all_valid() -> None:
    first, again = list(people(2_000)), list(people(2_000))
    assert first == again
    assert first[:1_000] == list(people(1_000)), "a smaller file is the beginning of a larger one"
    assert all(len(row) == len(HEADER) for row in first)
    assert all(canonical_address(row[1]) == row[1] for row in first)
    assert len({row[1] for row in first}) == len({row[0] for row in first}) == 2_000
    assert any(not name.isascii() for name in itertools.chain.from_iterable(row[2:4] for row in first))
