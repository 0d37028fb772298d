"""ingest.storage.staged: what contacts pulls of a staged file: its outline, all of its rows, or those at some places.

Releases of contacts that know no binary outline are told it as CSV, and so is all of them what earlier releases of this
house have staged: an outline that is CSV on disk, or none at all (then with an empty digest and no place).
"""

from __future__ import annotations

import asyncio
import csv
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mailmaker.ingest.domain.outlines import HEAD, Entry, entries
from mailmaker.ingest.storage.files import read

_AT_ONCE = 2_000
_LINE = 4_096
_PART = 1 << 18


class NoSuchPlace(ValueError):
    """A place at which no row of the staged file begins."""


async def outline(path: Path, staged: Path, *, binary: bool) -> AsyncIterator[bytes]:
    """An entry a row: binary (domain.outlines), or as CSV: line, key, digest, place."""
    if not await asyncio.to_thread(path.exists):
        async for some in _by_lines(staged):
            yield some
        return
    if binary or not await asyncio.to_thread(_is_binary, path):
        async for chunk in read(path):
            yield chunk
        return
    file = await asyncio.to_thread(open, path, "rb")
    try:
        each = entries(iter(partial(file.read, _PART), b""))
        while told := await asyncio.to_thread(_told, each):
            yield told
    finally:
        file.close()


def _is_binary(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(HEAD)) == HEAD


def _told(each: Iterator[Entry]) -> bytes:
    return b"".join(entry.csv() for _, entry in zip(range(_AT_ONCE), each, strict=False))


async def _by_lines(staged: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(open, staged, "rb", 1 << 20)
    try:
        while told := await asyncio.to_thread(_entries, file):
            yield told
    finally:
        file.close()


async def rows(path: Path, staged: Path) -> AsyncIterator[bytes]:
    """Every staged row, in STAGED_COLUMNS."""
    outlined = await asyncio.to_thread(path.exists)
    async for chunk in read(staged):
        # A staged row is one line, whatever its cells hold.
        yield chunk if outlined else chunk.replace(b"\n", b",\n")


async def rows_at(staged: Path, places: Sequence[int]) -> AsyncIterator[bytes]:
    """The rows that begin at these bytes of the staged file, in this order. Raises NoSuchPlace."""
    descriptor = await asyncio.to_thread(os.open, staged, os.O_RDONLY)
    try:
        for first in range(0, len(places), _AT_ONCE):
            yield await asyncio.to_thread(_rows, descriptor, places[first : first + _AT_ONCE])
    finally:
        os.close(descriptor)


def _rows(descriptor: int, places: Sequence[int]) -> bytes:
    return b"".join(_row(descriptor, place) for place in places)


def _row(descriptor: int, place: int) -> bytes:
    # With the byte before: a row begins where another has ended.
    before = 1 if place else 0
    found, size = b"", _LINE
    while place >= 0:
        found = os.pread(descriptor, size, place - before)
        end = found.find(b"\n", before)
        if end >= 0 and (not before or found[:1] == b"\n"):
            return found[before : end + 1]
        if end >= 0 or len(found) < size:
            break
        size *= 8
    raise NoSuchPlace(f"no row begins at byte {place}")


def _entries(file: BinaryIO) -> bytes:
    return b"".join(_entry(line) for line in _some(file))


def _some(file: BinaryIO) -> Iterator[bytes]:
    for _, line in zip(range(_AT_ONCE), file, strict=False):
        yield line


def _entry(line: bytes) -> bytes:
    number, _, rest = line.partition(b",")
    if not rest.startswith(b'"'):
        return b"%b,%b,,\n" % (number, rest[: rest.index(b",")])
    key = next(csv.reader([rest.decode()]))[0].replace('"', '""')
    return b'%b,"%b",,\n' % (number, key.encode())
