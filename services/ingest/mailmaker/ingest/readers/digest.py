"""ingest.readers.digest: what tells a row that a list already holds from one that it does not, in 16 bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mailmaker.ingest.domain.fields import Field
from xxhash import xxh3_64_intdigest, xxh3_128_digest

FORMAT = 1
"""Raised when the staged form of an unchanged row changes: all rows are then compared in full, once."""

HEX = 32


def seed_of(fields: Sequence[Field], empty_cells: str) -> int:
    """What beside a row's own cells decides what it does to its contact: which fields the file has, what each is, and
    what an empty cell says. Files that differ in it never share a digest."""
    kinds = [[field.stored, field.kind, field.custom, field.values] for field in fields]
    return int(xxh3_64_intdigest(json.dumps([FORMAT, sorted(kinds), empty_cells]).encode()))


def digests(rows: Sequence[bytes], seed: int) -> list[bytes]:
    """128 bits of each row. Not cryptographic: who could make two of his own rows collide would only
    keep his own file from changing his own list."""
    return [xxh3_128_digest(row, seed) for row in rows]
