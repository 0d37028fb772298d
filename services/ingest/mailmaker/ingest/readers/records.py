"""ingest.readers.records: the records of a CSV file in batches, each with its physical line, in constant memory.

A chunk without a quote is cut by str.split, which gives what csv.reader would; a chunk with quotes goes through
csv.reader, as one list when no record crosses a line end, else line by line. Quoted cells keep their bytes.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from mailmaker.ingest.readers.charset import Charset
from mailmaker.ingest.readers.damage import Damage
from mailmaker.ingest.readers.dialect import Dialect
from mailmaker.ingest.readers.faults import Unreadable

CHUNK = 1 << 18
LONGEST_CELL = 1 << 20
_END = "\x00\x01 end of chunk \x01\x00"


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in file order. `lines[i]` is the physical line on which `rows[i]` begins; `done` counts bytes read.
    `whole`: every cell is cut; else what comes after the cells that were asked for is one text. `texts[i]` is the line
    that is `rows[i]`, uncut; there are none where a record crosses line ends."""

    lines: Sequence[int]
    rows: list[list[str]]
    done: int
    whole: bool = True
    texts: Sequence[str] = ()


class Records:
    """Iterates over a file's records, header included; blank lines are none. Raises Unreadable.

    `end` is the offset of what is no record any more; `damage` has counted lost characters by the end. Of plain chunks
    only `cells` cells a record are cut off (-1: all).
    """

    cells: int = -1

    def __init__(
        self,
        file: BinaryIO,
        charset: Charset,
        dialect: Dialect,
        *,
        chunk: int = CHUNK,
        end: int | None = None,
    ) -> None:
        csv.field_size_limit(LONGEST_CELL)
        self._file = file
        self._codec = codecs.getincrementaldecoder(charset.codec)("strict")
        self._skip_bytes = charset.skip
        self._skip_lines = dialect.skip_lines
        self.delimiter = dialect.delimiter
        self._size = chunk
        self._end = end
        self._line = dialect.first_line
        self._done = 0
        self.damage = Damage()
        self._in_record = False
        self._texts = self._chunks()

    def __iter__(self) -> Iterator[Batch]:
        for text in self._texts:
            quoted, cells = '"' in text, self.cells
            lines, rows, texts = self._quoted(text) if quoted else self._plain(text, cells)
            if self._skip_lines and rows:
                lines, rows, texts, self._skip_lines = lines[1:], rows[1:], texts[1:], 0
            if rows:
                yield Batch(lines, rows, self._done, quoted or cells < 0, texts)

    def uncut(self) -> Iterator[tuple[Sequence[int], Sequence[str]]]:
        """Instead of records the lines that are not blank, with their numbers; the header among them."""
        for text in self._texts:
            physical, first = _lines(text), self._line
            self._line += len(physical)
            lines, texts = _written(physical, first)
            if self._skip_lines and texts:
                lines, texts, self._skip_lines = lines[1:], texts[1:], 0
            if texts:
                yield lines, texts

    def _chunks(self) -> Iterator[str]:
        """Decoded text cut after a line end, so that no chunk but the last has an open line."""
        self._file.seek(self._skip_bytes)
        kept = ""
        while data := self._file.read(self._room()):
            self._done = self._file.tell()
            text = kept + self._decoded(data, kept)
            cut = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
            kept = text[cut:]
            if len(kept) > LONGEST_CELL:
                raise Unreadable(
                    "line.too_long", f"a line of more than {LONGEST_CELL} characters", self._line
                )
            if cut:
                whole = text[:cut] if kept else text
                self.damage.feed(whole, self._line)
                yield whole
        kept += self._decoded(b"", kept)
        if kept:
            self.damage.feed(kept, self._line)
            yield kept if kept[-1] in "\r\n" else kept + "\n"

    def _room(self) -> int:
        return self._size if self._end is None else max(0, min(self._size, self._end - self._file.tell()))

    def _decoded(self, data: bytes, kept: str) -> str:
        try:
            return self._codec.decode(data, not data)
        except UnicodeDecodeError as wrong:
            before = kept + bytes(wrong.object[: wrong.start]).decode(wrong.encoding, "replace")
            line = self._line + before.count("\n")
            raise Unreadable("encoding.broken", f"bytes that are not {wrong.encoding}", line) from wrong

    def _plain(self, text: str, cells: int) -> tuple[Sequence[int], list[list[str]], Sequence[str]]:
        physical = _lines(text)
        first, self._line = self._line, self._line + len(physical)
        delimiter = self.delimiter
        lines, texts = _written(physical, first)
        return lines, [line.split(delimiter, cells) for line in texts], texts

    def _quoted(self, text: str) -> tuple[Sequence[int], list[list[str]], Sequence[str]]:
        physical = list(io.StringIO(text, newline=""))
        try:
            rows = list(csv.reader([*physical, _END], delimiter=self.delimiter))
        except csv.Error:
            return self._one_by_one(physical)
        if len(rows) != len(physical) + 1 or rows[-1] != [_END]:
            return self._one_by_one(physical)
        rows.pop()
        first, self._line = self._line, self._line + len(rows)
        lines, texts = _written([line.rstrip("\r\n") for line in physical], first)
        return lines, [row for row in rows if row] if [] in rows else rows, texts

    def _one_by_one(self, physical: list[str]) -> tuple[Sequence[int], list[list[str]], Sequence[str]]:
        """Records that cross line ends; the last of them may pull further chunks."""
        lines: list[int] = []
        rows: list[list[str]] = []
        base = self._line - 1
        reader = csv.reader(self._pulled(physical), delimiter=self.delimiter)
        while True:
            start = base + reader.line_num + 1
            self._in_record = False
            try:
                row = next(reader, None)
            except csv.Error as wrong:
                raise Unreadable(
                    "cell.too_long",
                    f"a cell of more than {LONGEST_CELL} characters: is a quote never closed?",
                    start,
                ) from wrong
            if row is None:
                return lines, rows, ()
            if row and row[-1].endswith(_END):
                raise Unreadable("quote.unclosed", "a quoted cell begins here and is never closed", start)
            self._line = base + reader.line_num + 1
            if row:
                lines.append(start)
                rows.append(row)

    def _pulled(self, physical: list[str]) -> Iterator[str]:
        """The chunk's lines; past its end only the rest of an open record, then the end mark."""
        lines = iter(physical)
        while True:
            for line in lines:
                self._in_record = True
                yield line
            if not self._in_record:
                return
            text = next(self._texts, None)
            if text is None:
                yield _END
                return
            lines = iter(io.StringIO(text, newline=""))


def _written(physical: list[str], first: int) -> tuple[Sequence[int], Sequence[str]]:
    """The lines that are not blank, the first of all having this number."""
    if "" in physical:
        return [number for number, line in enumerate(physical, first) if line], [*filter(None, physical)]
    return range(first, first + len(physical)), physical


def _lines(text: str) -> list[str]:
    """The lines of a text that ends with one, whatever ends them: a carriage return, a line feed, or both."""
    ends = text.count("\r")
    if ends and (text.count("\n") != ends or text.count("\r\n") != ends):
        text, ends = text.replace("\r\n", "\n").replace("\r", "\n"), 0
    lines = text.split("\r\n" if ends else "\n")
    lines.pop()
    return lines
