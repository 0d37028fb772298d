"""ingest.readers.tails: the last columns of a file as one text, where they repeat together.

Province, region, city, postal code, country and language stand side by side in most files and go together: a tail that
was seen before is looked up whole, so that its cells are neither cut nor converted again. Which columns that is, the
first rows of a file tell; one whose tails do not repeat is read cell by cell.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailmaker.ingest.domain.fields import Field
from mailmaker.ingest.readers.columns import MOST_CACHED, Bad, Cached, Column

_AT_LEAST = 2
_TRIAL = 50_000
"""Rows that are read cell by cell first."""
_SAMPLED = 50
"""Every so many of them are looked at; their hashes are kept, since a text may be long."""
_REPEATS = 4
"""So many rows must come for each tail that is new."""


class Tail(Column):
    """All columns from `index` to the row's end. `layout` is that of a staged row which has them as one part."""

    def __init__(self, columns: Sequence[Column], layout: Sequence[str], delimiter: str) -> None:
        first, last = columns[0].field.name, columns[-1].field.name
        begin, end = layout.index(first), layout.index(last) + 1
        super().__init__(columns[0].index, Field(f"{first} to {last}", "text"), str)
        self.layout = [*layout[:begin], self.field.name, *layout[end:]]
        self._parts = layout[begin:end]
        self._columns = columns
        self._delimiter = delimiter
        self._known: dict[str, str] = {}
        self._rows = self._new = 0

    @property
    def repeats(self) -> bool:
        """Whether it is worth to go on."""
        return self._rows < _TRIAL or self._new * _REPEATS < self._rows

    def convert(self, raw: Sequence[str]) -> list[str]:
        """Each tail as the staged row has it. When one has more or fewer cells, or a cell is refused, so is the batch: it
        is for who reads cell by cell."""
        self._rows += len(raw)
        new = set(raw).difference(self._known)
        if len(self._known) + len(new) > MOST_CACHED:
            self._known.clear()
            new = set(raw)
        self._new += len(new)
        self.refused = sum(not self._learned(tail) for tail in new)
        if self.refused:
            self._new += len(raw)
            return []
        return list(map(self._known.__getitem__, raw))

    def cut(self, rows: Sequence[list[str]]) -> list[list[str]]:
        """Rows of which it is the last cell, cell by cell."""
        cells = self._delimiter
        return [[*row[:-1], *row[-1].split(cells)] if len(row) > self.index else row for row in rows]

    def _learned(self, tail: str) -> bool:
        cells = tail.split(self._delimiter)
        if len(cells) != len(self._columns):
            return False
        each = zip(self._columns, cells, strict=True)
        made = {column.field.name: column.cell(cell) for column, cell in each}
        if any(type(cell) is Bad for cell in made.values()):
            return False
        self._known[tail] = ",".join(made.get(part, part) for part in self._parts)
        return True


class Tails:
    """Finds the tail of a file of so many columns. `tail` is the longest that repeats; None as long as none is known to."""

    def __init__(self, columns: Sequence[Column], width: int, layout: Sequence[str], delimiter: str) -> None:
        self.tail: Tail | None = None
        self._columns = _run_at_end(columns, width, layout)
        self._layout, self._delimiter, self._width = layout, delimiter, width
        self._seen: list[set[int]] = [set() for _ in self._columns[: 1 - _AT_LEAST]]
        self._rows = self._looked_at = 0

    def hear(self, rows: Sequence[list[str]]) -> None:
        """Takes a batch that was read cell by cell."""
        if not self._seen:
            return
        self._rows += len(rows)
        for row in rows[::_SAMPLED]:
            if len(row) == self._width:
                self._looked_at += 1
                for column, seen in zip(self._columns, self._seen, strict=False):
                    seen.add(hash(self._delimiter.join(row[column.index :])))
        if self._rows >= _TRIAL:
            repeat = (i for i, seen in enumerate(self._seen) if len(seen) * _REPEATS < self._looked_at)
            if (first := next(repeat, None)) is not None:
                self.tail = Tail(self._columns[first:], self._layout, self._delimiter)
            self._seen.clear()


def _run_at_end(columns: Sequence[Column], width: int, layout: Sequence[str]) -> list[Column]:
    """The last columns of a file, as far as they fill one run of a staged row."""
    by_index: dict[int, list[Column]] = {}
    for column in columns:
        by_index.setdefault(column.index, []).append(column)
    places = {one.field.name: layout.index(one.field.name) for one in columns if not one.field.custom}
    found: list[Column] = []
    while len(of := by_index.get(width - 1 - len(found), [])) == 1 and _joins(of[0], found, places):
        found.insert(0, of[0])
    return found


def _joins(column: Column, tail: Sequence[Column], places: dict[str, int]) -> bool:
    """Whether a column may stand before the tail: its texts repeat, and the staged row has no cell between the two."""
    if type(column) is not Cached or column.field.custom:
        return False
    if not tail:
        return True
    place, next_ = places[column.field.name], places[tail[0].field.name]
    return place < next_ and not any(place < other < next_ for other in places.values())
