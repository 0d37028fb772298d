"""ingest.readers.picked: of a file's lines those that the list does not hold, as records.

Each must be a record by itself. Where all others are lines that an earlier file had as records, and these are records, a
quote that opens in one and closes in another is nowhere: the file is what reading it whole would make of it.
"""

from __future__ import annotations

import csv
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from mailmaker.ingest.readers.records import Batch, Records

_AT_ONCE = 2_000
_END = "\x00\x01 end of line \x01\x00"


class LinesJoined(Exception):
    """A line is no record by itself: the file is to be read whole."""


class Picked:
    """Iterates over the header and the records on `wanted` lines, which are in order. Raises LinesJoined, Unreadable."""

    cells: int = -1

    def __init__(self, records: Records, wanted: Sequence[int]) -> None:
        self._records = records
        self._wanted = wanted
        self.delimiter = records.delimiter
        self.damage = records.damage

    def __iter__(self) -> Iterator[Batch]:
        header = True
        for lines, texts in self._records.uncut():
            if header:
                yield self._batch(lines[:1], texts[:1])
                header = False
            begin, end = bisect_left(self._wanted, lines[0]), bisect_left(self._wanted, lines[-1] + 1)
            places = [bisect_left(lines, line) for line in self._wanted[begin:end]]
            for at in range(0, len(places), _AT_ONCE):
                some = places[at : at + _AT_ONCE]
                yield self._batch([lines[i] for i in some], [texts[i] for i in some])

    def _batch(self, lines: Sequence[int], texts: Sequence[str]) -> Batch:
        if not any('"' in text for text in texts):
            rows = [text.split(self.delimiter) for text in texts]
        else:
            rows = [self._record(text) for text in texts]
        return Batch(lines, rows, 0, whole=True, texts=texts)

    def _record(self, text: str) -> list[str]:
        """The record that the line is."""
        try:
            rows = list(csv.reader([text + "\n", _END], delimiter=self.delimiter))
        except csv.Error as wrong:
            raise LinesJoined from wrong
        if len(rows) != 2 or rows[1] != [_END]:
            raise LinesJoined
        return rows[0]


def wanted_in(path: str) -> array[int]:
    """The numbers of lines that a file holds, 32 bits each."""
    found = array("i")
    with open(path, "rb") as file:
        found.frombytes(file.read())
    return found
