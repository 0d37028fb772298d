"""contacts.domain.exports: what of a list goes into a file, and how a value is written into a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from mailmaker.contacts.domain.lists import STANDARD_FIELDS, ContactList, FieldType
from mailmaker.contacts.domain.segments import Group, Kind, Op, Rule, Test

MOST_WAITING = 20
"""Exports of one account that are not ready yet."""
MOST_ROWS_XLSX = 1_048_575
"""Rows of a sheet, less the header."""
CONSENTS = ("email_consent", "sms_consent")
MOMENTS = ("created_at", "changed_at")
Format = Literal["csv", "xlsx", "zip"]
MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "zip": "application/zip",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
FaultAt = tuple[str, str, str]


class ExportState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    REMOVED = "removed"
    EXPIRED = "expired"


class CellKind(StrEnum):
    """How a column's cells are written: text may need a mark, the others are what they are."""

    TEXT = "text"
    EMAIL = "email"
    NUMBER = "number"
    BOOLEAN = "boolean"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class ExportWish:
    """What is asked for: a list or a segment of it at a version, those with a consent, some columns (empty: all)."""

    format: Format = "csv"
    columns: tuple[str, ...] = ()
    segment: UUID | None = None
    segment_version: int | None = None
    email_consent: str | None = None
    sms_consent: str | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """A file that is being made, is there, or was; without a list it is the whole account's. `round` says which reading
    it stands on."""

    account_id: UUID
    id: UUID
    list_id: UUID | None
    wish: ExportWish
    state: ExportState
    done: int
    total: int
    round: int
    attempts: int
    size: int | None
    error: tuple[str, str] | None
    created_at: datetime
    ready_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file: its header, and a standard field or the `key` that a custom one's values are kept under."""

    name: str
    kind: CellKind
    key: str | None = None


_PLAIN = frozenset({"id", "sex", "birth_date", "country", *CONSENTS, *MOMENTS})
_CUSTOM = {
    FieldType.TEXT: CellKind.TEXT,
    FieldType.ENUM: CellKind.TEXT,
    FieldType.NUMBER: CellKind.NUMBER,
    FieldType.BOOLEAN: CellKind.BOOLEAN,
    FieldType.DATE: CellKind.PLAIN,
}


def _known(of: ContactList) -> Mapping[str, Column]:
    kinds = {"email": CellKind.EMAIL}
    found = {
        name: Column(name, CellKind.PLAIN if name in _PLAIN else kinds.get(name, CellKind.TEXT))
        for name in (*STANDARD_FIELDS, *CONSENTS, "id", *MOMENTS)
    }
    return found | {f.name: Column(f.name, _CUSTOM[f.type], f.key) for f in of.fields}


def default_columns(of: ContactList) -> tuple[str, ...]:
    """Every field of the list, and the consents."""
    return (*STANDARD_FIELDS, *(f.name for f in of.fields), *CONSENTS)


def column_faults(names: Sequence[str], of: ContactList) -> list[FaultAt]:
    """What is wrong with the columns asked for."""
    known, faults = _known(of), []
    for at, name in enumerate(names):
        if name not in known:
            faults.append((f"/columns/{at}", "column.unknown", "the list has no such field"))
        elif name in names[:at]:
            faults.append((f"/columns/{at}", "column.twice", "the column is named twice"))
    return faults


def columns_of(wish: ExportWish, of: ContactList) -> tuple[Column, ...]:
    """The file's columns. A field that the list has lost since is left out."""
    known = _known(of)
    return tuple(known[name] for name in wish.columns or default_columns(of) if name in known)


def whom(wish: ExportWish, rule: Rule | None) -> Rule:
    """Whom of the list the file names."""
    asked = {"email_consent": wish.email_consent, "sms_consent": wish.sms_consent}
    parts: list[Rule] = [Test(name, Kind.CHOICE, Op.EQ, value) for name, value in asked.items() if value]
    return Group("all", tuple(parts if rule is None else [rule, *parts]))
