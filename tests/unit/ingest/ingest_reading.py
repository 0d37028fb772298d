"""tests.unit.ingest: reads bytes the way the service does, without a service."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from mailmaker.ingest.domain.outlines import entries
from mailmaker.ingest.readers.job import Answer, Job
from mailmaker.ingest.readers.opening import Wishes, shape
from mailmaker.ingest.readers.records import Records
from mailmaker.ingest.readers.scan import Scan
from mailmaker.ingest.readers.stage import stage

CORPORA = Path(__file__).parents[4] / "shared/corpora/corpora.tar.xz"
TODAY = "2026-11-24"


def not_utf8_at(data: bytes) -> int | None:
    scan = Scan()
    for start in range(0, len(data), 7):
        scan.feed(data[start : start + 7])
    return scan.end().not_utf8_at


def rows_of(
    data: bytes, *, delimiter: str | None = None, encoding: str | None = None, chunk: int = 1 << 18
) -> list[tuple[int, list[str]]]:
    """Every record with its line, header included."""
    file = io.BytesIO(data)
    wishes = Wishes("email", delimiter=delimiter, encoding=encoding)
    charset, dialect, _ = shape(file, wishes, not_utf8_at(data))
    return [
        pair
        for batch in Records(file, charset, dialect, chunk=chunk)
        for pair in _pairs(batch.lines, batch.rows)
    ]


def _pairs(lines: object, rows: list[list[str]]) -> Iterator[tuple[int, list[str]]]:
    yield from zip(lines, rows, strict=True)  # type: ignore[call-overload]


class Staged:
    """A staged file, its outline and its rejects."""

    def __init__(self, folder: Path, data: bytes, **job: object) -> None:
        (folder / "upload").write_bytes(data)
        told: dict[str, object] = {"key": "email", "country": "IT", "today": TODAY, **job}
        self.answer: Answer = stage(
            Job(
                upload=str(folder / "upload"),
                staged=str(folder / "staged"),
                outline=str(folder / "outline"),
                rejects=str(folder / "rejects"),
                lines=str(folder / "lines"),
                not_utf8_at=not_utf8_at(data),
                **told,  # type: ignore[arg-type]
            ),
            lambda _: None,
        )
        self.rows: list[list[str]] = []
        self.outline: list[list[str]] = []
        self.rejects: list[dict[str, str]] = []
        if self.answer.done and not self.answer.by_line and not self.answer.joined:
            with open(folder / "staged", encoding="utf-8", newline="") as staged:
                self.rows = list(csv.reader(staged))
            told = b"".join(entry.csv() for entry in entries([(folder / "outline").read_bytes()]))
            self.outline = list(csv.reader(io.StringIO(told.decode(), newline="")))
            with open(folder / "rejects", encoding="utf-8", newline="") as rejects:
                self.rejects = list(csv.DictReader(rejects))
        self.left = sorted(path.name for path in folder.iterdir())
