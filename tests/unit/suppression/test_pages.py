"""unit: the public pages ask nothing of anybody else, and tell the truth."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from mailmaker.common.contracts.internal import InFlight
from mailmaker.suppression.api.pages import Pages
from mailmaker.suppression.api.words import WORDS
from mailmaker.suppression.storage.entries import Entry

AT = datetime(2026, 11, 24, 10, 2, 11, tzinfo=UTC)
PAGES = Pages()


def entry(enforced_at: datetime | None, stopped: int = 0, in_flight: int = 0) -> Entry:
    def some(count: int) -> tuple[InFlight, ...]:
        return tuple(InFlight(message=uuid4(), mailing=uuid4(), channel="email") for _ in range(count))

    return Entry(
        uuid4(),
        "email",
        "list",
        None,
        None,
        "link",
        "unsubscribe",
        AT,
        AT,
        enforced_at,
        some(stopped),
        some(in_flight),
        None,
        None,
        (1,),
    )


def test_both_languages_say_the_same_things() -> None:
    assert WORDS["it"].keys() == WORDS["en"].keys()


@pytest.mark.parametrize("language", ["it", "en"])
def test_the_page_has_a_real_button_and_nothing_from_elsewhere(language: str) -> None:
    page = PAGES.ask(language, "<script>alert(1)</script>")  # type: ignore[arg-type]
    assert '<form method="post">' in page
    assert '<button type="submit">' in page
    assert "<script" not in page
    assert not re.search(r"(src|href|action|@import|url\()", page)
    assert "default-src 'none'" in PAGES.headers["Content-Security-Policy"]


def test_it_tells_what_was_stopped_and_what_had_left() -> None:
    told = PAGES.done("en", entry(AT, stopped=2, in_flight=1))
    assert "2 messages about to leave were stopped" in told
    assert "1 message was already leaving" in told
    assert "being applied" in PAGES.done("en", entry(None))
    assert "stopped" not in PAGES.done("en", entry(None))
