"""ingest.readers.opening: what a file's head says: characters, delimiter, columns; when opened and when staged."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from mailmaker.ingest.domain.fields import Field, list_fields
from mailmaker.ingest.domain.mapping import (
    ColumnMap,
    map_columns,
    map_naming,
    with_defaults,
    with_split_name,
)
from mailmaker.ingest.readers import charset as charsets
from mailmaker.ingest.readers import dialect as dialects
from mailmaker.ingest.readers.charset import HEAD, Charset
from mailmaker.ingest.readers.dialect import Dialect
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.records import Records


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the client and the list say about how a file is to be read."""

    key: str
    custom: tuple[Field, ...] = ()
    mapping: Mapping[str, str | None] = field(default_factory=dict)
    encoding: str | None = None
    delimiter: str | None = None
    first_line: int = 1
    split_column: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    naming: tuple[str, ...] = ()
    """An opt-out file: the fields that say whom it is about; no other is read."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How the file will be read."""

    charset: Charset
    dialect: Dialect
    mapped: ColumnMap


def look(file: BinaryIO, wishes: Wishes, not_utf8_at: int | None) -> Opening:
    """Reads the head and decides. Raises Unreadable (the file) or WrongColumns (its header, or the mapping)."""
    charset, dialect, header = shape(file, wishes, not_utf8_at)
    return Opening(charset, dialect, columns_of(header, wishes))


def columns_of(header: Sequence[str], wishes: Wishes) -> ColumnMap:
    """Which column fills which field. Raises WrongColumns."""
    if wishes.naming:
        return map_naming(header, wishes.naming, wishes.mapping)
    fields = list_fields(wishes.custom)
    column = wishes.split_column
    named = (
        {}
        if column is None
        else {cell: None for cell in header if cell.strip().casefold() == column.casefold()}
    )
    mapping = {**wishes.mapping, **named}
    mapped = map_columns(header, fields, wishes.key, mapping)
    if column is not None:
        mapped = with_split_name(mapped, column, fields)
    return with_defaults(mapped, wishes.defaults, fields)


def shape(file: BinaryIO, wishes: Wishes, not_utf8_at: int | None) -> tuple[Charset, Dialect, list[str]]:
    """The charset, the delimiter and the header's cells. Raises Unreadable."""
    name = wishes.encoding
    charset = charsets.detect(file, not_utf8_at) if name is None else charsets.named(file, name)
    head = _head(file, charset)
    if not head.strip("\r\n\t ,;|\x00"):
        raise Unreadable("file.empty", "the file is empty")
    names = (*(one.name for one in wishes.custom), *wishes.mapping)
    dialect = _dialect(head, wishes, names)
    first = next(iter(Records(file, charset, dialect, chunk=HEAD)), None)
    if first is None:
        raise Unreadable("file.empty", "the file is empty")
    return charset, dialect, first.rows[0]


def _dialect(head: str, wishes: Wishes, names: tuple[str, ...]) -> Dialect:
    if wishes.delimiter is None:
        return dialects.detect(head, names)
    skip = int(dialects.separator_line(head) == wishes.delimiter)
    return Dialect(wishes.delimiter, skip, wishes.first_line)


def _head(file: BinaryIO, charset: Charset) -> str:
    file.seek(charset.skip)
    decoder = codecs.getincrementaldecoder(charset.codec)("replace")
    return decoder.decode(file.read(HEAD))
