"""ingest.readers.repeats: the later rows of a key leave the staged file, and are named with the line of the first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mailmaker.ingest.domain.outlines import END, HEAD, LONGEST, entries, entry
from mailmaker.ingest.readers.records import Batch

BUFFER = 1 << 20


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
        open(outline, "rb", buffering=BUFFER) as every,
        open(outline, "rb", buffering=LONGEST) as again,
        written(once[0]) as kept,
        written(once[1]) as kept_entries,
        written(told_of(outline)) as told,
    ):
        many = without_repeats(rows, every, again, (kept, kept_entries, told), repeated)
        for file in (kept, kept_entries):
            synced(file)
    for temporary, path in zip(once, (staged, outline), strict=True):
        os.replace(temporary, path)
    return many


def without_repeats(
    staged: Iterable[bytes],
    outline: BinaryIO,
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
    collided: dict[bytes, int] = {}
    rows = iter(staged)
    many = at = 0
    begins = kept_outline.write(HEAD)
    for one in entries(iter(partial(outline.read, BUFFER), b"")):
        begin, begins = begins, begins + one.size
        if one.at is None:
            kept_outline.write(one.encode())
            continue
        row = next(rows)
        if (first := repeated.get(hash(one.key))) is not None:
            if first < 0:
                repeated[hash(one.key)] = begin
            elif (line := _line_of_first(one.key, first, again) or collided.get(one.key)) is None:
                collided[one.key] = one.line
            else:
                told.write(b"%d,%d\n" % (one.line, line))
                many += 1
                continue
        kept.write(row)
        kept_outline.write(one.moved(at).encode())
        at += len(row)
    kept_outline.write(END)
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


def _line_of_first(key: bytes, begin: int, outline: BinaryIO) -> int | None:
    """The line of the entry that begins there, if it has this key."""
    outline.seek(begin)
    found = entry(outline.read(LONGEST))
    return found.line if found is not None and found.key == key else None
