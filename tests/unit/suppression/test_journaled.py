"""unit: a line of the journal carries all that its token said."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mailmaker.common.mail.subjects import contact_subject
from mailmaker.common.mail.tokens import Token
from mailmaker.suppression.domain.journaled import Journaled, Unreadable

AT = datetime(2026, 11, 24, 10, 2, 11, 7, tzinfo=UTC)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.uuids(), st.text())
def test_a_line_is_read_as_it_was_written(account: int, mailing: int, contact: object, agent: str) -> None:
    said = Journaled(uuid4(), Token(account, mailing, contact), "link", AT, {"agent": agent})  # type: ignore[arg-type]
    line = said.encode()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert Journaled.decode(line) == said


@pytest.mark.parametrize("line", [b"", b"{}", b"null", b'{"id":"x"}', b"\0\1"])
def test_another_line_is_unreadable(line: bytes) -> None:
    with pytest.raises(Unreadable):
        Journaled.decode(line)


def test_it_stands_by_contact_until_contacts_has_said_more() -> None:
    said = Journaled(uuid4(), Token(3, 9, uuid4()), "one_click", AT)
    bare = said.no(uuid4())
    assert bare.incomplete
    assert bare.list_id is None
    assert bare.scope == "list"
    assert bare.subjects == (contact_subject(said.token.contact_id),)
    whole = said.no(uuid4(), uuid4(), (b"a1",), complete=True)
    assert not whole.incomplete
    assert whole.subjects[1:] == (b"a1",)
    assert whole.evidence["mailing_number"] == "9"
