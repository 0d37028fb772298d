"""ingest.domain.mapping: which column of the file fills which field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mailmaker.ingest.domain.fields import (
    KNOWN_HEADERS,
    REJECT_COLUMNS,
    Field,
    list_fields,
    plain,
    shown,
)

MOST_COLUMNS = 500
ABSENT = -1
_LONGEST_SHOWN = 200
Part = Literal["name", "surname"]


@dataclass(frozen=True, slots=True)
class HeaderFault:
    """Why a header cannot be mapped: a pointer into the request, a stable code, and what to do."""

    pointer: str
    code: str
    detail: str


class WrongColumns(ValueError):
    """The header does not give what the list needs. Nothing is imported."""

    def __init__(self, faults: Sequence[HeaderFault]) -> None:
        super().__init__("; ".join(f.detail for f in faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Target:
    """Column `index` of the file fills `field`, with its whole cell or with a `part` of it; ABSENT: no column does."""

    index: int
    field: Field
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """How a file is read: its header, the columns that are used, and those that are passed over."""

    header: tuple[str, ...]
    targets: tuple[Target, ...]
    ignored: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(target.field.name for target in self.targets)

    def column_of(self, name: str) -> str | None:
        """The header of the column that fills a field, as it can be shown; None where no column does."""
        at = [target.index for target in self.targets if target.field.name == name and target.index != ABSENT]
        return shown(self.header[at[0]].strip())[:_LONGEST_SHOWN] if at else None


def map_columns(
    header: Sequence[str],
    fields: Mapping[str, Field],
    key: str | None,
    wished: Mapping[str, str | None] | None = None,
) -> ColumnMap:
    """Maps by the client's own mapping where it names the column, else by the header's text.

    A custom field wins over an alias of a standard one. Columns of a rejects file (`_line` ...) are passed over in
    silence, others that nothing names are listed. `key` None: any of the fields will do. Raises WrongColumns, naming
    every fault of the header (line 1).
    """
    faults = _shape_faults(header)
    wishes, wish_faults = _wishes(header, fields, wished or {})
    faults.extend(wish_faults)
    targets: dict[str, Target] = {}
    ignored: list[str] = []
    for index, cell in enumerate(header):
        name = wishes[index] if index in wishes else _named(cell, fields)
        if name is None:
            if plain(cell) not in REJECT_COLUMNS and cell.strip():
                ignored.append(shown(cell.strip())[:_LONGEST_SHOWN])
        elif name in targets:
            first = header[targets[name].index]
            faults.append(
                HeaderFault(
                    "/file",
                    "columns.twice",
                    f"line 1: columns {first.strip()!r} and {cell.strip()!r} both fill the field {name!r}",
                )
            )
        else:
            targets[name] = Target(index, fields[name])
    if not faults and (key not in targets if key is not None else not targets):
        wanted = (
            f"names people ({', '.join(fields)})" if key is None else f"fills the list's key field {key!r}"
        )
        detail = f"line 1: no column {wanted}; the header has: {_shown(header)}"
        faults.append(HeaderFault("/file", "columns.no_key", detail))
    if faults:
        raise WrongColumns(faults)
    return ColumnMap(tuple(header), tuple(targets.values()), tuple(ignored))


def map_naming(header: Sequence[str], names: Sequence[str], wished: Mapping[str, str | None]) -> ColumnMap:
    """The columns of an opt-out file that fill one of `names`, which say whom it is about. All others are passed over,
    whatever they hold. Raises WrongColumns where there is none."""
    known = list_fields(())
    wishes = {column: name if name in names else None for column, name in wished.items()}
    return map_columns(header, {name: known[name] for name in names}, None, wishes)


def with_split_name(mapped: ColumnMap, column: str, fields: Mapping[str, Field]) -> ColumnMap:
    """`mapped` with one column filling name and surname. Raises WrongColumns where another fills them."""
    at = {cell.strip().casefold(): index for index, cell in reversed(list(enumerate(mapped.header)))}
    index = at.get(column.strip().casefold())
    pointer = "/options/split_name/column"
    if index is None:
        fault = HeaderFault(pointer, "mapping.no_such_column", f"the file has no column {column!r}")
        raise WrongColumns([fault])
    others = tuple(target for target in mapped.targets if target.index != index)
    if taken := [one.field.name for one in others if one.field.name in ("name", "surname")]:
        detail = f"another column fills the field {taken[0]!r}"
        raise WrongColumns([HeaderFault(pointer, "columns.twice", detail)])
    halves = (Target(index, fields["name"], "name"), Target(index, fields["surname"], "surname"))
    ignored = tuple(cell for cell in mapped.ignored if cell != mapped.header[index].strip())
    return replace(mapped, targets=(*others, *halves), ignored=ignored)


def with_defaults(mapped: ColumnMap, names: Iterable[str], fields: Mapping[str, Field]) -> ColumnMap:
    """`mapped` with the fields that have a default and no column. Raises WrongColumns for fields the list has not."""
    wrong = [name for name in names if name not in fields]
    if wrong:
        raise WrongColumns(
            [
                HeaderFault(
                    f"/options/defaults/{_escaped(name)}",
                    "mapping.no_such_field",
                    f"the list has no field {name!r}",
                )
                for name in wrong
            ]
        )
    absent = tuple(Target(ABSENT, fields[name]) for name in names if name not in mapped.fields)
    return replace(mapped, targets=(*mapped.targets, *absent))


def _named(cell: str, fields: Mapping[str, Field]) -> str | None:
    exact = cell.strip()
    if exact in fields:
        return exact
    text = plain(cell)
    name = text if text in fields else KNOWN_HEADERS.get(text)
    return name if name in fields else None


def _shape_faults(header: Sequence[str]) -> list[HeaderFault]:
    if len(header) > MOST_COLUMNS:
        return [
            HeaderFault("/file", "columns.too_many", f"line 1: {len(header)} columns; at most {MOST_COLUMNS}")
        ]
    return []


def _wishes(
    header: Sequence[str], fields: Mapping[str, Field], wished: Mapping[str, str | None]
) -> tuple[dict[int, str | None], list[HeaderFault]]:
    """The client's mapping by column index; a name of no column or of no field is a fault of the option."""
    at = {cell.strip().casefold(): index for index, cell in reversed(list(enumerate(header)))}
    found: dict[int, str | None] = {}
    faults = []
    for column, field in wished.items():
        pointer = f"/options/mapping/{_escaped(column)}"
        index = at.get(column.strip().casefold())
        if index is None:
            faults.append(
                HeaderFault(pointer, "mapping.no_such_column", f"the file has no column {column!r}")
            )
        elif field is not None and field not in fields:
            faults.append(HeaderFault(pointer, "mapping.no_such_field", f"the list has no field {field!r}"))
        else:
            found[index] = field
    return found, faults


def _escaped(name: str) -> str:
    """A JSON pointer's reference token (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _shown(header: Sequence[str]) -> str:
    return ", ".join(repr(cell.strip()[:40]) for cell in header[:12]) + (", ..." if len(header) > 12 else "")
