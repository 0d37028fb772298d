"""ingest.domain.dates: dates as files write them, by stated formats, never by a guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache

_PARTS = {
    "d": r"(?P<day>\d{1,2})",
    "m": r"(?P<month>\d{1,2})",
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<short>\d{2})",
}
_MIDNIGHT = r"(?:[T ]0?0[:.]00(?:[:.]00(?:\.0+)?)?Z?)?"
_SEPARATORS = frozenset(" -/.,")
DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y")
YEAR_FIRST = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d")
STANDARD = (*YEAR_FIRST, *DAY_FIRST)
"""What is understood when no format is stated: ISO 8601, or the day before the month."""
_PIVOT = 69

Read = Callable[[str], "re.Match[str] | None"]


class WrongFormat(ValueError):
    """A format that does not say day, month and year once each."""


class Ambiguous(ValueError):
    """Two stated formats read the text as different days."""


class NoDate(ValueError):
    """No stated format reads the text."""


@lru_cache(maxsize=64)
def reader(form: str) -> Read:
    """Reads texts of a format made of %d %m %Y %y and separators. Raises WrongFormat."""
    pattern, kinds, rest = "", [], form
    while rest:
        if rest[0] == "%" and rest[1:2] in _PARTS:
            kinds.append(rest[1].casefold())
            pattern, rest = pattern + _PARTS[rest[1]], rest[2:]
        elif rest[0] in _SEPARATORS:
            pattern, rest = pattern + re.escape(rest[0]), rest[1:]
        else:
            raise WrongFormat("a format is made of %d, %m, %Y or %y, and separators, as %d/%m/%Y")
    if sorted(kinds) != ["d", "m", "y"]:
        raise WrongFormat("a format says day, month and year once each, as %d/%m/%Y")
    return re.compile(pattern + _MIDNIGHT, re.ASCII).fullmatch


def with_iso(formats: Sequence[str]) -> tuple[str, ...]:
    """The stated formats, and YYYY-MM-DD beside them, as sheets give dates, where no stated one begins with the year."""
    if not formats:
        return STANDARD
    return tuple(formats) if any(one.startswith("%Y") for one in formats) else ("%Y-%m-%d", *formats)


def day_of(text: str, formats: Sequence[str], not_after: date | None = None) -> date:
    """The day. Raises Ambiguous, NoDate, or ValueError for a day that no calendar has.

    A year of two digits is the last such year up to `not_after`, or without it the one from 1969 to 2068.
    """
    found: set[date] = set()
    impossible: ValueError | None = None
    for form in formats:
        if (match := reader(form)(text)) is None:
            continue
        try:
            found.add(_date(match.groupdict(), not_after))
        except ValueError as wrong:
            impossible = wrong
    if len(found) > 1:
        raise Ambiguous(text)
    if not found:
        raise impossible or NoDate(text)
    return found.pop()


def _date(parts: dict[str, str], not_after: date | None) -> date:
    month, day = int(parts["month"]), int(parts["day"])
    if "year" in parts:
        return date(int(parts["year"]), month, day)
    short = int(parts["short"])
    if not_after is None:
        return date(short + (1900 if short >= _PIVOT else 2000), month, day)
    found = date(2000 + short, month, day)
    return found if found <= not_after else date(1900 + short, month, day)
