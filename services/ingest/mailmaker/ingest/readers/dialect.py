"""ingest.readers.dialect: the delimiter of a file, told from its head."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from mailmaker.ingest.domain.fields import KNOWN_HEADERS, plain

DELIMITERS = (",", ";", "\t", "|")
_RECORDS = 60


@dataclass(frozen=True, slots=True)
class Dialect:
    """The delimiter, how many lines stand before the header (Excel's `sep=;`), and the number of the first line."""

    delimiter: str
    skip_lines: int = 0
    first_line: int = 1


def detect(head: str, names: Collection[str] = ()) -> Dialect:
    """The delimiter under which the header names most fields we know, else the one that cuts rows most evenly.

    `names` are header texts to know beside the standard ones. `head` may end in the middle of a line.
    """
    if (told := separator_line(head)) is not None:
        return Dialect(told, 1)
    known = {plain(name) for name in names} | KNOWN_HEADERS.keys()
    return Dialect(max(DELIMITERS, key=lambda delimiter: _score(head, delimiter, known)))


def separator_line(head: str) -> str | None:
    """The delimiter that Excel's own first line names."""
    first = head.lstrip("\r\n").split("\n", 1)[0].strip("\r ").strip('"')
    return first[4:] if first[:4].casefold() == "sep=" and first[4:] in DELIMITERS else None


def _score(head: str, delimiter: str, known: Collection[str]) -> tuple[int, float, int]:
    """Known header names, evenness of the rows, width; ties fall to the earlier delimiter."""
    rows = _records(head, delimiter)
    if not rows:
        return 0, 0.0, 0
    named = sum(1 for cell in rows[0] if plain(cell) in known)
    width = len(rows[0])
    if width < 2:
        return named, 0.0, 0
    even = Counter(map(len, rows))[width] / len(rows)
    return named, round(even, 1), width


def _records(head: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) > _RECORDS:
                break
    except csv.Error:
        return rows
    # The last record may be cut by the end of the head.
    return rows[:-1] if len(rows) > 2 else rows
