"""ingest.readers.opt_outs: an opt-out file staged: whom each row names, by any of its columns, and nothing else of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from mailmaker.ingest.readers.columns import Bad
from mailmaker.ingest.readers.staging import DUPLICATE, Staging


class OptOuts(Staging):
    """A row is good when one of its cells names somebody. A cell that is no address is passed over beside one that is:
    no contact can have it, so no mail can go there. The key of a row is all that it names people by."""

    def _batch(self, lines: Sequence[int], rows: list[list[str]], texts: Sequence[str]) -> None:
        if set(map(len, rows)) != {self._width}:
            lines, rows = self._squared(lines, rows)
            if not rows:
                return
        raw = list(zip(*rows, strict=True))
        made = [column.convert(raw[column.index]) for column in self._columns]
        keep = [any(cells) for cells in zip(*made, strict=True)]
        for at, kept in enumerate(keep):
            if not kept:
                self._refuse(lines[at], rows[at], [cells[at] for cells in made])
        if any(keep):
            said = [list(map(_said, compress(cells, keep))) for cells in made]
            self._write(list(compress(lines, keep)), self._columns, said, self._keys_of(said), self._layout)

    def name_duplicate(self, line: int, row: list[str], first: int) -> None:
        self._tell(line, row[: self._width], "", DUPLICATE, f"line {first} names the same")

    def _refuse(self, line: int, row: list[str], made: Sequence[str]) -> None:
        for column, cell in zip(self._columns, made, strict=True):
            if type(cell) is Bad:
                self._reject(line, row, column.field.name, cell.code, cell.detail)
                return
        self._reject(line, row, "", "row.names_nobody", "no email, mobile or fkey that the import is about")

    def _keys_of(self, said: Sequence[list[str]]) -> list[str]:
        """All the cells of a row in one, as they compare."""
        parts = [
            list(map(str.casefold, cells)) if column.field.name == "email" else cells
            for column, cells in zip(self._columns, said, strict=True)
        ]
        return [_quoted(" ".join(cells)) for cells in zip(*parts, strict=True)]


def _said(cell: str) -> str:
    return "" if type(cell) is Bad else cell


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if '"' in text else text
