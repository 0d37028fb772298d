"""suppression.domain.language: Italian or English, by Accept-Language (RFC 9110 section 12.5.4)."""

from __future__ import annotations

from typing import Literal

Language = Literal["it", "en"]


def language_of(accept: str | None) -> Language:
    """The language of a page. A browser that asks for neither reads English; one that does not say, Italian."""
    if not accept or not accept.strip():
        return "it"
    best: tuple[float, Language] = (0.0, "en")
    for part in accept[:1000].split(","):
        tag, _, parameter = part.strip().lower().partition(";")
        primary = tag.strip().partition("-")[0]
        weight = _weight(parameter)
        if primary == "it" and weight > best[0]:
            best = (weight, "it")
        elif primary == "en" and weight > best[0]:
            best = (weight, "en")
    return best[1]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
