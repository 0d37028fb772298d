"""ingest.readers.repeats: the later rows of a key leave the staged file, and are named with the line of the first."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from mailmaker.ingest.readers.records import Batch

BUFFER = 1 << 20
_ENTRY = 512
"""Bytes that are read to see one entry of an outline again."""


def written(path: Path) -> BinaryIO:
    """A file to be written from its beginning."""
    return open(path, "wb", buffering=BUFFER)


def synced(file: BinaryIO) -> None:
    """What was written is on disk."""
    file.flush()
    os.fsync(file.fileno())


def told_of(outline: Path) -> Path:
    """Where it is told which rows were left out: a line each, its line in the file and that of its key's first row. There
    is no such file when no row was."""
    return outline.with_name(outline.name + ".repeats")


def left_out(staged: Path, outline: Path, repeated: dict[int, int]) -> int:
    """Rewrites the staged file and its outline without the later rows of repeated keys. Returns how many those were."""
    once = [path.with_name(path.name + ".once") for path in (staged, outline)]
    with (
        open(staged, "rb", buffering=BUFFER) as rows,
        open(outline, "rb", buffering=BUFFER) as entries,
        open(outline, "rb", buffering=_ENTRY) as again,
        written(once[0]) as kept,
        written(once[1]) as kept_entries,
        written(told_of(outline)) as told,
    ):
        many = without_repeats(rows, entries, again, (kept, kept_entries, told), repeated)
        for file in (kept, kept_entries):
            synced(file)
    for temporary, path in zip(once, (staged, outline), strict=True):
        os.replace(temporary, path)
    return many


def without_repeats(
    staged: Iterable[bytes],
    outline: Iterable[bytes],
    again: BinaryIO,
    to: tuple[BinaryIO, BinaryIO, BinaryIO],
    repeated: dict[int, int],
) -> int:
    """Copies a staged file and its outline without the later rows of each key, and tells which: the first row of a key
    wins. Returns how many left. Entries that only name a rejected row's key stay.

    `repeated` are the hashes to look at; it learns where in the outline the first entry of each begins. When a hash comes
    back that entry is read `again`, so that no key is held in memory.
    """
    kept, kept_outline, told = to
    collided: dict[bytes, bytes] = {}
    rows = iter(staged)
    many = at = begins = 0
    for entry in outline:
        begin, begins = begins, begins + len(entry)
        if entry.startswith(b"-"):
            kept_outline.write(entry)
            continue
        row = next(rows)
        key = _key_of(entry)
        if (first := repeated.get(hash(key))) is not None:
            if first < 0:
                repeated[hash(key)] = begin
            elif (line := _line_of_first(key, first, again) or collided.get(key)) is None:
                collided[key] = _line_of(entry)
            else:
                told.write(b"%b,%b\n" % (_line_of(entry), line))
                many += 1
                continue
        kept.write(row)
        kept_outline.write(b"%b,%d\n" % (entry.rpartition(b",")[0], at))
        at += len(row)
    return many


def name_each(records: Iterable[Batch], told: Path, name: Callable[[int, list[str], int], None]) -> None:
    """Reads the file once more, as far as the last row that was left out: `name` hears of each its line, its cells as they
    came, and the line of the first."""
    with open(told, encoding="ascii") as pairs:
        due = _pair(pairs.readline())
        for batch in records:
            if due is None:
                return
            if batch.lines[-1] < due[0]:
                continue
            for line, row in zip(batch.lines, batch.rows, strict=True):
                if due is not None and line == due[0]:
                    name(line, row, due[1])
                    due = _pair(pairs.readline())


def _pair(told: str) -> tuple[int, int] | None:
    line, comma, first = told.partition(",")
    return (int(line), int(first)) if comma else None


def _line_of_first(key: bytes, begin: int, outline: BinaryIO) -> bytes | None:
    """The line of the entry that begins there, if it has this key."""
    outline.seek(begin)
    entry = outline.readline()
    return _line_of(entry) if _key_of(entry) == key else None


def _line_of(entry: bytes) -> bytes:
    return entry[: entry.index(b",")]


def _key_of(entry: bytes) -> bytes:
    """The second cell as it is written; an entry is one line, whatever its key holds."""
    rest = entry[entry.index(b",") + 1 :]
    if not rest.startswith(b'"'):
        return rest[: rest.index(b",")]
    cell: str = next(csv.reader([rest.decode()]))[0]
    return b'"' + cell.replace('"', '""').encode() + b'"'
