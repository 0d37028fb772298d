"""ingest.readers.staging: one file read, checked and written as a staged file and a rejects file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from operator import not_
from typing import IO

from mailmaker.ingest.domain.fields import STAGED_COLUMNS, plain
from mailmaker.ingest.domain.mapping import ColumnMap
from mailmaker.ingest.readers.columns import Bad, Column
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.laying import Layer
from mailmaker.ingest.readers.picked import Picked
from mailmaker.ingest.readers.records import Records
from mailmaker.ingest.readers.rejects import begun, original
from mailmaker.ingest.readers.tails import Tail, Tails

ROW_LIMIT = 20_000_000
DUPLICATE = "row.duplicate"
"""The code of a good row whose key came before in the file."""
_STILL_MARKED = "it is still marked as a duplicate; empty its cell `_code` where it is to be imported"
_ROW = tuple(name for name in STAGED_COLUMNS if name not in ("line", "digest"))


@dataclass(frozen=True, slots=True)
class Staged:
    """The counts of a staged file: rows = staged + rejected + duplicate."""

    rows: int
    staged: int
    rejected: int
    duplicate: int


class Staging:
    """Reads batches, writes lines. One instance a file.

    With `names_rejected` a rejected row whose key is good leaves an entry with a negative number and its key alone: in
    a full import the file did name that contact, so a bad birth date must not remove it.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        mapped: ColumnMap,
        key: str,
        layer: Layer,
        rejects: IO[str],
        *,
        names_rejected: bool = False,
    ) -> None:
        self._columns = columns
        self._key_at = next(i for i, column in enumerate(columns) if column.field.name == key)
        self._names_rejected = names_rejected
        self.named = self.marked = 0
        self._code_at = next((i for i, cell in enumerate(mapped.header) if plain(cell) == "_code"), None)
        self._width = len(mapped.header)
        self._key = key
        self._layer = layer
        self._original = original(mapped)
        self._rejects = begun(mapped, rejects)
        self._rows = 0
        self._rejected = 0
        self._layout = _layout({c.field.name for c in columns if not c.field.custom})

    def run(self, records: Records | Picked, report: Callable[[int], None]) -> tuple[int, int]:
        """Stages every batch; `report` hears the rows so far. Returns rows and rejected."""
        header = True
        tails = Tails(self._columns, self._width, self._layout, records.delimiter)
        for batch in records:
            lines, rows = (batch.lines[1:], batch.rows[1:]) if header else (batch.lines, batch.rows)
            header = False
            if rows:
                self._rows += len(rows)
                texts = batch.texts[len(batch.texts) - len(rows) :] if batch.texts else ()
                self._read(batch.whole, lines, rows, texts, tails)
                report(self._rows)
            if self._rows > ROW_LIMIT:
                raise Unreadable("file.too_many_rows", f"more than {ROW_LIMIT} rows")
            records.cells = tails.tail.index if tails.tail is not None and tails.tail.repeats else -1
        return self._rows, self._rejected

    def _read(
        self, whole: bool, lines: Sequence[int], rows: list[list[str]], texts: Sequence[str], tails: Tails
    ) -> None:
        if whole or tails.tail is None:
            self._batch(lines, rows, texts)
            if self._code_at is None:
                tails.hear(rows)
        elif not self._with_tail(lines, rows, texts, tails.tail):
            self._batch(lines, tails.tail.cut(rows), texts)

    def _with_tail(
        self, lines: Sequence[int], rows: list[list[str]], texts: Sequence[str], tail: Tail
    ) -> bool:
        """Writes a batch in which no row is refused. False: nothing is written, since one may be."""
        if set(map(len, rows)) != {tail.index + 1}:
            return False
        raw = list(zip(*rows, strict=True))
        columns = [*(column for column in self._columns if column.index < tail.index), tail]
        made = {column.field.name: column.convert(raw[column.index]) for column in columns}
        if any(column.refused for column in columns) or "" in (keys := made[self._key]):
            return False
        self._write(lines, columns, list(made.values()), self._compared(keys), tail.layout, texts)
        return True

    def _batch(self, lines: Sequence[int], rows: list[list[str]], texts: Sequence[str]) -> None:
        every = lines
        if set(map(len, rows)) != {self._width}:
            lines, rows = self._squared(lines, rows)
        if self._code_at is not None:
            lines, rows = self._corrected(self._code_at, lines, rows)
        if not rows:
            return
        raw = list(zip(*rows, strict=True))
        made = [column.convert(raw[column.index]) for column in self._columns]
        if any(column.refused for column in self._columns) or "" in made[self._key_at]:
            keep = self._sorted_out(lines, rows, made)
            lines = list(compress(lines, keep))
            made = [list(compress(cells, keep)) for cells in made]
        if texts and lines is not every:
            known = dict(zip(every, texts, strict=True))
            texts = [known[line] for line in lines]
        if lines:
            self._write(lines, self._columns, made, self._compared(made[self._key_at]), self._layout, texts)

    def _compared(self, keys: list[str]) -> list[str]:
        return list(map(str.casefold, keys)) if self._key == "email" else keys

    def name_duplicate(self, line: int, row: list[str], first: int) -> None:
        """Tells of a good row that was left out: one before it has its key."""
        message = f"line {first} has the same {self._key}, and the first row counts"
        self._tell(line, row[: self._width], self._key, DUPLICATE, message)

    def _corrected(
        self, code_at: int, lines: Sequence[int], rows: list[list[str]]
    ) -> tuple[Sequence[int], list[list[str]]]:
        """Of a rejects file that is sent again: what it still marks as a duplicate would overwrite the row that counted."""
        keep = [row[code_at].strip() != DUPLICATE for row in rows]
        for line, row in compress(zip(lines, rows, strict=True), map(not_, keep)):
            self._tell(line, row, self._key, DUPLICATE, _STILL_MARKED)
            self.marked += 1
            column = self._columns[self._key_at]
            self._name(line, column.cell(row[column.index]))
        return list(compress(lines, keep)), list(compress(rows, keep))

    def _squared(self, lines: Sequence[int], rows: list[list[str]]) -> tuple[Sequence[int], list[list[str]]]:
        """Rows of the header's width. Empty cells past it are a trailing delimiter; any other difference is an error."""
        width = self._width
        kept_lines: list[int] = []
        kept: list[list[str]] = []
        for line, row in zip(lines, rows, strict=True):
            if len(row) > width and not any(row[width:]):
                row = row[:width]
            if len(row) == width:
                kept_lines.append(line)
                kept.append(row)
            else:
                self._reject(line, row, "", "row.width", f"{len(row)} cells where the header has {width}")
                column = self._columns[self._key_at]
                self._name(line, column.cell(row[column.index]) if column.index < len(row) else "")
        return kept_lines, kept

    def _sorted_out(self, lines: Sequence[int], rows: list[list[str]], made: list[list[str]]) -> list[bool]:
        keep = []
        for i, line in enumerate(lines):
            faults = [
                (column.field.name, bad.code, bad.detail)
                for column, cells in zip(self._columns, made, strict=True)
                if type(bad := cells[i]) is Bad
            ]
            key = made[self._key_at][i]
            if not faults and not key:
                faults = [(self._key, "key.missing", "the list's key is empty")]
            keep.append(not faults)
            if faults:
                field, code, detail = faults[0]
                message = (
                    detail if len(faults) == 1 else "; ".join(f"{name}: {why}" for name, _, why in faults)
                )
                self._reject(line, rows[i], field, code, message)
                self._name(line, key)
        return keep

    def _reject(self, line: int, row: Sequence[str], field: str, code: str, message: str) -> None:
        self._tell(line, row, field, code, message)
        self._rejected += 1

    def _tell(self, line: int, row: Sequence[str], field: str, code: str, message: str) -> None:
        """The row as it came, then why. Cells past the header's width join the last one: nothing is lost."""
        cells = [row[i] if i < len(row) else "" for i in self._original]
        if len(row) > self._width and cells:
            cells[-1] = " | ".join([cells[-1], *row[self._width :]])
        self._rejects.writerow([*cells, line, field, code, message])

    def _name(self, line: int, key: str) -> None:
        """Tells that the file names the key of a rejected row, where the key itself is good."""
        if self._names_rejected and key and type(key) is not Bad:
            told = key.casefold() if self._key == "email" else key
            self._layer.name(-line, told.encode())
            self.named += 1

    def _write(
        self,
        lines: Sequence[int],
        columns: Sequence[Column],
        made: list[list[str]],
        keys: list[str],
        layout: Sequence[str],
        texts: Sequence[str] = (),
    ) -> None:
        """Joins columns to lines; columns that the file does not have are one constant between its neighbours."""
        ready: dict[str, Iterable[str]] = {"key_text": keys}
        members = []
        for column, cells in zip(columns, made, strict=True):
            if column.field.custom:
                members.append(cells)
            else:
                ready[column.field.name] = cells
        ready["custom"] = map(_object, *members) if members else repeat("")
        cut = [ready[part] if part in ready else repeat(part) for part in layout]
        rows = "\n".join(map(",".join, zip(*cut, strict=False)))
        numbers = f"{lines[0]}+" if isinstance(lines, range) else "\n".join(map(str, lines))
        self._layer.lay(numbers.encode(), "\n".join(keys).encode(), rows.encode(), "\n".join(texts).encode())


def _layout(present: set[str]) -> list[str]:
    """A row's columns in order; a run of n absent ones is a text of n - 1 commas."""
    parts: list[str] = []
    for name in _ROW:
        if name in present or name in ("key_text", "custom"):
            parts.append(name)
        elif parts and not parts[-1].strip(","):
            parts[-1] += ","
        else:
            parts.append("")
    return parts


def _object(*members: str) -> str:
    inner = ",".join(filter(None, members))
    return f'"{{{inner}}}"' if inner else ""
