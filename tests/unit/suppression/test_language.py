"""unit: the language of a page."""

from __future__ import annotations

import pytest
from mailmaker.suppression.domain.language import language_of


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        (None, "it"),
        ("", "it"),
        ("it-IT,it;q=0.9,en;q=0.8", "it"),
        ("en-GB,en;q=0.9,it;q=0.5", "en"),
        ("de-DE", "en"),
        ("en;q=0.2,it;q=0.7", "it"),
        ("it;q=0", "en"),
        ("it;q=x,en", "en"),
        ("*", "en"),
        (";;,,q=1", "en"),
    ],
)
def test_the_language_asked_for(accept: str | None, language: str) -> None:
    assert language_of(accept) == language
