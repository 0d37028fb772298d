"""ingest.readers.rejects: the form of a rejects file: the file's own columns, then where and why."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import IO, Protocol

from mailmaker.ingest.domain.fields import REJECT_COLUMNS, plain
from mailmaker.ingest.domain.mapping import ColumnMap


class Writer(Protocol):
    """A csv.writer."""

    def writerow(self, row: Iterable[object], /) -> object: ...


def original(mapped: ColumnMap) -> list[int]:
    """The columns that came; of a rejects file that is sent again, without what we had added."""
    return [i for i, cell in enumerate(mapped.header) if plain(cell) not in REJECT_COLUMNS]


def begun(mapped: ColumnMap, rejects: IO[str]) -> Writer:
    """What writes its rows; the header is written."""
    writer = csv.writer(rejects, lineterminator="\r\n")
    writer.writerow([*(mapped.header[i] for i in original(mapped)), *REJECT_COLUMNS])
    return writer
