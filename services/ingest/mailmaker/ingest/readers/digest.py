"""ingest.readers.digest: what tells a row that a list already holds from one that it does not, in 16 bytes.

A row that is a line of its file is known by that line, so that it need not be read to be recognised; one that crosses line
ends by the row that was made of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from mailmaker.ingest.domain.fields import Field
from xxhash import xxh3_64_intdigest, xxh3_128_digest

FORMAT = 1
"""Raised when the staged form of an unchanged row changes: all rows are then compared in full, once."""

LINES = 1
"""Raised when a line is read otherwise than before."""

HEX = 32


def seed_of(fields: Sequence[Field], empty_cells: str) -> int:
    """What beside a row's own cells decides what it does to its contact: which fields the file has, what each is, and
    what an empty cell says. Files that differ in it never share a digest."""
    kinds = [[field.stored, field.kind, field.custom, field.values] for field in fields]
    return int(xxh3_64_intdigest(json.dumps([FORMAT, sorted(kinds), empty_cells]).encode()))


def line_seed_of(seed: int, how: Sequence[object]) -> int:
    """`how`: all that decides, beside the fields, how a line is read. A line that was read otherwise is another one."""
    return int(xxh3_64_intdigest(json.dumps([LINES, seed, how]).encode()))


def digests(rows: Iterable[bytes], seed: int) -> list[bytes]:
    """128 bits of each row, or line. Not cryptographic: who could make two of his own rows collide would only
    keep his own file from changing his own list."""
    return [xxh3_128_digest(row, seed) for row in rows]
