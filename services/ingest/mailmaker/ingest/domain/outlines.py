"""ingest.domain.outlines: the form of an outline: an entry a staged row, as PostgreSQL's binary COPY takes it.

An entry has its row's line, the byte of the staged file at which the row begins, its digest, and the key of its row as it is
compared. One that only names the key of a rejected row has a negative line, no place and no digest. Binary, since contacts
copies a million of these for a file in which nothing has changed: as CSV that takes twice as long.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from operator import add

HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""How it begins (PostgreSQL, COPY, Binary Format): no flags, no extension."""
END = b"\xff\xff"
LONGEST = 1 << 12
"""No entry has so many bytes: a key has 255 characters."""
_FIELDS, _NULL = 4, -1
_INT, _LONG, _DIGEST = 4, 8, 16
_ROW = struct.Struct(">hiiiqi16si")
_NAME = struct.Struct(">hiiiii")
_LINE_OF_FILE = struct.Struct(">hiii16s")
_LINE = struct.Struct(">6xii")
_PLACE = struct.Struct(">14xq4x16s")
"""Parts of the two, from where an entry begins."""
_MARKS = (b'"', b",")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `at` and `digest` are None where it only names a key."""

    line: int
    at: int | None
    digest: bytes | None
    key: bytes

    def encode(self) -> bytes:
        """As it is written."""
        if self.at is None or self.digest is None:
            return naming(self.line, self.key)
        head = (_FIELDS, _INT, self.line, _LONG, self.at, _DIGEST, self.digest, len(self.key))
        return _ROW.pack(*head) + self.key

    @property
    def size(self) -> int:
        """Its bytes."""
        return (_NAME if self.at is None else _ROW).size + len(self.key)

    def moved(self, at: int) -> Entry:
        """Of a row that begins elsewhere."""
        return replace(self, at=at)

    def csv(self) -> bytes:
        """As releases told it that had outlines in CSV: line, key, digest, place."""
        key = self.key
        if any(mark in key for mark in _MARKS):
            key = b'"' + key.replace(b'"', b'""') + b'"'
        digest = b"" if self.digest is None else self.digest.hex().encode()
        return b"%d,%b,%b,%b\n" % (self.line, key, digest, b"" if self.at is None else b"%d" % self.at)


def rows(
    lines: Iterable[int], places: Iterable[int], digests: Iterable[bytes], keys: Sequence[bytes]
) -> bytes:
    """The entries of staged rows."""
    count, int_, long, digest = map(repeat, (_FIELDS, _INT, _LONG, _DIGEST))
    heads = map(_ROW.pack, count, int_, lines, long, places, digest, digests, map(len, keys))
    return b"".join(map(add, heads, keys))


def lines(numbers: Iterable[int], digests: Iterable[bytes]) -> bytes:
    """The entries of lines that are not read: number and digest alone."""
    count, int_, digest = map(repeat, (2, _INT, _DIGEST))
    return b"".join(map(_LINE_OF_FILE.pack, count, int_, numbers, digest, digests))


def bare(cell: bytes) -> bytes:
    """A key without the quotes that it may have as a cell of a staged row."""
    return cell[1:-1].replace(b'""', b'"') if cell.startswith(b'"') else cell


def naming(line: int, key: bytes) -> bytes:
    """An entry that only names a key."""
    return _NAME.pack(_FIELDS, _INT, line, _NULL, _NULL, len(key)) + key


def entry(data: bytes, begin: int = 0) -> Entry | None:
    """The entry that begins there; None where it is cut, or the outline ends."""
    if begin + _NAME.size > len(data):
        return None
    line, size_of_place = _LINE.unpack_from(data, begin)
    head = _NAME if size_of_place == _NULL else _ROW
    end = begin + head.size
    size = int.from_bytes(data[end - _INT : end], "big")
    if end + size > len(data):
        return None
    at, digest = (None, None) if head is _NAME else _PLACE.unpack_from(data, begin)
    return Entry(line, at, digest, data[end : end + size])


def entries(chunks: Iterable[bytes]) -> Iterator[Entry]:
    """All of an outline in pieces of any size."""
    kept, begin = b"", len(HEAD)
    for chunk in chunks:
        kept += chunk
        if len(kept) < begin:
            continue
        while (found := entry(kept, begin)) is not None:
            yield found
            begin += found.size
        kept, begin = kept[begin:], 0
