"""ingest.readers.columns: a column of raw cells to a column of COPY-ready text, a batch at a time.

Speed rests on two things: texts that repeat are converted once (a bounded cache that dict look-ups fill), and texts
that do not (addresses, numbers) are only looked at when a regular expression says that they are not plain already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from mailmaker.ingest.domain import cells
from mailmaker.ingest.domain.cells import BadCell
from mailmaker.ingest.domain.dates import with_iso
from mailmaker.ingest.domain.fields import Field
from mailmaker.ingest.readers.mobiles import e164, mobile

MOST_CACHED = 30_000
_NEEDS_QUOTES = re.compile(r'[",\r\n\\]').search
# Each text this matches in at most 64 characters is its own canonical_address(): a test holds the two together.
_PLAIN_ADDRESS = r"[A-Za-z0-9_+\-]++(?:\.[A-Za-z0-9_+\-]++)*+@(?:[a-z0-9]++(?:-[a-z0-9]++)*+\.)++[a-z]{2,20}"
_PLAIN_EMAIL = re.compile(_PLAIN_ADDRESS).fullmatch
_PLAIN_LENGTH = 64
_PLAIN_KEY = r"[A-Za-z0-9_.\-]++"

Convert = Callable[[str], str]


class Bad(str):
    """Stands in a converted column for a cell that was refused: a string, so that columns stay columns of strings."""

    __slots__ = ("code", "detail")
    code: str
    detail: str

    @classmethod
    def of(cls, wrong: BadCell) -> Bad:
        bad = cls()
        bad.code, bad.detail = wrong.code, wrong.detail
        return bad


class Column:
    """One mapped column. After `convert`, `refused` says how many cells of that batch are Bad."""

    def __init__(self, index: int, field: Field, one: Convert, marked: Convert | None = None) -> None:
        self.index = index
        self.field = field
        self.refused = 0
        self._one = one
        # For a cell that says by an apostrophe that it is text on purpose.
        self._marked = marked or one
        self._address = field.kind == "email"

    def convert(self, raw: Sequence[str]) -> list[str]:
        """The batch's cells as the staged file writes them; empty ones are empty."""
        self.refused = 0
        return [self.cell(cell) if cell else "" for cell in raw]

    def cell(self, raw: str) -> str:
        """One cell, the slow way."""
        if not raw.strip():
            return ""
        try:
            bare = cells.unguarded(raw, address=self._address) if raw[0] in "'#" else raw
            return self._one(raw) if bare is raw else self._marked(bare)
        except BadCell as wrong:
            self.refused += 1
            return Bad.of(wrong)


class Cached(Column):
    """For texts that repeat. Refused cells are not kept, so that `refused` counts each."""

    def __init__(self, index: int, field: Field, one: Convert) -> None:
        super().__init__(index, field, one)
        self._known = _Known(self.cell)

    def convert(self, raw: Sequence[str]) -> list[str]:
        self.refused = 0
        if len(self._known) > MOST_CACHED:
            self._known.clear()
        return list(map(self._known.__getitem__, raw))


class _Known(dict[str, str]):
    def __init__(self, one: Convert) -> None:
        super().__init__()
        self._one = one

    def __missing__(self, raw: str) -> str:
        found = self._one(raw)
        if type(found) is not Bad:
            self[raw] = found
        return found


class Plain(Column):
    """For texts that are mostly canonical as they stand, or empty: only those that `pattern` does not match, or that are
    longer, are looked at one by one. All of a batch are matched at once: a call a cell would cost more than the match."""

    def __init__(
        self,
        index: int,
        field: Field,
        one: Convert,
        pattern: str,
        longest: int,
        marked: Convert | None = None,
    ) -> None:
        super().__init__(index, field, one, marked)
        self._is_plain = re.compile(f"(?:{pattern})?", re.ASCII).fullmatch
        self._plain_lines = re.compile(f"(?:(?:{pattern})?\n)*+", re.ASCII).match
        self._longest = longest

    def convert(self, raw: Sequence[str]) -> list[str]:
        self.refused = 0
        found = list(raw)
        for i in self._odd(found):
            found[i] = self.cell(found[i])
        return found

    def _odd(self, cells: Sequence[str]) -> list[int]:
        lines = "\n".join([*cells, ""])
        if max(map(len, cells)) > self._longest or lines.count("\n") != len(cells):
            plain = self._is_plain
            return [i for i, cell in enumerate(cells) if len(cell) > self._longest or not plain(cell)]
        odd: list[int] = []
        begin = number = 0
        while (end := self._end_of_plain(lines, begin)) < len(lines):
            number += lines.count("\n", begin, end)
            odd.append(number)
            number += 1
            begin = lines.index("\n", end) + 1
        return odd

    def _end_of_plain(self, lines: str, begin: int) -> int:
        match = self._plain_lines(lines, begin)
        return begin if match is None else match.end()


def quoted(text: str) -> str:
    """A cell of COPY's CSV; empty means NULL there."""
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES(text) else text


@dataclass(frozen=True, slots=True)
class Habits:
    """How the file writes dates and decimals, where the client says so."""

    date_formats: tuple[str, ...] = ()
    decimal: str | None = None


def column(
    index: int,
    field: Field,
    country: str,
    today: date,
    habits: Habits = Habits(),  # frozen
) -> Column:
    """The converter of a mapped column. A custom field's cells become members of the staged row's JSON object."""
    if field.custom:
        return Cached(index, field, _member(field, _converter(field, country, today, habits)))
    if field.kind == "email":
        return Plain(index, field, _email, _PLAIN_ADDRESS, _PLAIN_LENGTH)
    if field.kind == "mobile":
        return Plain(index, field, mobile(country), e164(country), 20)
    if field.kind == "fkey":
        return Plain(index, field, _key, _PLAIN_KEY, 64, lambda cell: quoted(cells.fkey(cell, marked=True)))
    one = _converter(field, country, today, habits)
    return Cached(index, field, lambda cell: quoted(one(cell)))


def _converter(field: Field, country: str, today: date, habits: Habits) -> Convert:
    formats = with_iso(habits.date_formats)
    longest = cells.LONGEST_CUSTOM_TEXT if field.custom else cells.LONGEST_TEXT
    table: dict[str, Convert] = {
        "text": partial(cells.text, longest=longest),
        "sex": cells.sex,
        "date": partial(cells.day, formats=formats),
        "birth_date": partial(cells.birth_day, today=today, formats=formats),
        "country": cells.country,
        "language": cells.language,
        "number": partial(cells.number, decimal=habits.decimal),
        "boolean": cells.boolean,
        "enum": partial(cells.enum, values=field.values),
        "email": cells.email,
        "mobile": partial(cells.mobile, country=country),
        "fkey": cells.fkey,
    }
    return table[field.kind]


def _member(field: Field, one: Convert) -> Convert:
    """`"name":value` with its quotes doubled: a part of one quoted JSON cell."""
    name = cells.json_text(field.stored).replace('"', '""')
    bare = field.kind in ("number", "boolean")

    def member(cell: str) -> str:
        found = one(cell)
        return f"{name}:" + (found if bare else cells.json_text(found).replace('"', '""'))

    return member


def _key(cell: str) -> str:
    return quoted(cells.fkey(cell))


def _email(cell: str) -> str:
    """A domain in capitals is common in files of older systems, and costs no full look when the rest is plain."""
    found = cell.strip()
    local, at, domain = found.partition("@")
    lowered = f"{local}{at}{domain.lower()}"
    if len(lowered) <= _PLAIN_LENGTH and _PLAIN_EMAIL(lowered) and domain.isascii():
        return lowered
    return cells.email(found)
