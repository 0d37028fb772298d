"""ingest.readers.looked: a file of which the head was read: how the rest will be, and what tells its lines from others'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import BinaryIO

from mailmaker.ingest.domain.findings import Finding
from mailmaker.ingest.readers.columns import Column, Habits
from mailmaker.ingest.readers.digest import line_seed_of, seed_of
from mailmaker.ingest.readers.filled import Filling, filled
from mailmaker.ingest.readers.job import Answer, Job
from mailmaker.ingest.readers.opening import Opening, look
from mailmaker.ingest.readers.records import Records
from mailmaker.ingest.readers.trailer import Trailer, find


@dataclass(frozen=True, slots=True)
class Looked:
    """`seeds`: of the digests of rows, and of lines."""

    job: Job
    upload: BinaryIO
    opening: Opening
    trailer: Trailer | None
    columns: Sequence[Column]
    seeds: tuple[int, int]

    def records(self) -> Records:
        """The file's records, from its beginning."""
        end = None if self.trailer is None else self.trailer.end
        return Records(self.upload, self.opening.charset, self.opening.dialect, end=end)

    def answer(self, rows: int, found: Sequence[Finding]) -> Answer:
        """What is said of a file that came to its end. `found`: what is strange about its characters."""
        job, opening = self.job, self.opening
        findings = [*found, *_counted(rows, job.expected_rows)]
        if self.trailer is not None:
            findings += self.trailer.findings(rows)
        return Answer(
            rows=rows,
            done=True,
            encoding=opening.charset.codec,
            delimiter=opening.dialect.delimiter,
            fields=opening.mapped.fields,
            ignored=opening.mapped.ignored,
            findings=tuple(findings),
            key_column=opening.mapped.column_of(job.key),
            seed=self.seeds[1],
        )


def looked(job: Job, upload: BinaryIO) -> Looked:
    """Raises Unreadable (the file) or WrongColumns (its header, or what the job says of it)."""
    opening = look(upload, job.wishes(), job.not_utf8_at)
    trailer = trailer_of(job, upload, opening)
    columns = filled(opening.mapped, filling_of(job))
    return Looked(job, upload, opening, trailer, columns, _seeds(job, opening, columns))


def _seeds(job: Job, opening: Opening, columns: Sequence[Column]) -> tuple[int, int]:
    seed = seed_of([column.field for column in columns], job.empty_cells)
    targets = [(one.index, one.field.name, one.part) for one in opening.mapped.targets]
    # The year: of a date with two digits for one, the century is told by it.
    how = (job.key, job.country, job.today[:4], job.date_formats, job.decimal, sorted(job.defaults.items()))
    order = None if job.split_name is None else job.split_name.order
    delimiter = opening.dialect.delimiter
    return seed, line_seed_of(seed, (opening.mapped.header, targets, how, order, delimiter))


def filling_of(job: Job) -> Filling:
    """What the job says about cells."""
    order = "name_surname" if job.split_name is None else job.split_name.order
    habits = Habits(job.date_formats, job.decimal)
    return Filling(job.country, date.fromisoformat(job.today), habits, order, job.defaults)


def trailer_of(job: Job, upload: BinaryIO, opening: Opening) -> Trailer | None:
    """The file's control total, where one is asked for."""
    if job.trailer is None:
        return None
    return find(upload, opening.charset, job.trailer, any_delimiter=job.delimiter is not None)


def _counted(rows: int, expected: int | None) -> list[Finding]:
    if expected is None or rows == expected:
        return []
    detail = f"{rows} rows where {expected} were announced: is the file cut?"
    return [Finding("file.row_count", detail, count=rows)]
