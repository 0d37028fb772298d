"""ingest.readers.filled: the columns of a file as its options want them filled: by cells, halves of cells, defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from mailmaker.ingest.domain import cells, names
from mailmaker.ingest.domain.mapping import ABSENT, ColumnMap, HeaderFault, Target, WrongColumns
from mailmaker.ingest.readers.columns import Bad, Cached, Column, Habits, column, quoted


@dataclass(frozen=True, slots=True)
class Filling:
    """What the list and the options say about cells."""

    country: str
    today: date
    habits: Habits = field(default_factory=Habits)
    order: str = "name_surname"
    defaults: Mapping[str, str] = field(default_factory=dict)


class Defaulted(Column):
    """A column whose empty cells, or all where the file has no such column, take one value."""

    def __init__(self, inner: Column, default: str) -> None:
        super().__init__(inner.index, inner.field, str)
        self._inner = inner
        self._default = default

    def convert(self, raw: Sequence[str]) -> list[str]:
        if self.index == ABSENT:
            return [self._default] * len(raw)
        found = self._inner.convert(raw)
        self.refused = self._inner.refused
        return [cell if cell or type(cell) is Bad else self._default for cell in found]

    def cell(self, raw: str) -> str:
        found = self._inner.cell(raw)
        return found if found or type(found) is Bad else self._default


def filled(mapped: ColumnMap, how: Filling) -> list[Column]:
    """One converter a target. Raises WrongColumns for a default that its field cannot take."""
    return [_one(target, how) for target in mapped.targets]


def _one(target: Target, how: Filling) -> Column:
    if target.part is None:
        made = column(target.index, target.field, how.country, how.today, how.habits)
    else:
        half = 0 if target.part == "name" else 1
        made = Cached(
            target.index,
            target.field,
            lambda cell: quoted(cells.text(names.split(cells.text(cell), how.order)[half])),
        )
    default = how.defaults.get(target.field.name)
    if default is None:
        return made
    value = made.cell(default)
    if type(value) is Bad:
        pointer = f"/options/defaults/{target.field.name}"
        raise WrongColumns([HeaderFault(pointer, value.code, f"{target.field.name!r}: {value.detail}")])
    return Defaulted(made, value)
