"""ingest.readers.stage: stages one file on disk: temporary files, fsync, then their names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import BinaryIO

from mailmaker.ingest.domain.findings import Finding
from mailmaker.ingest.domain.mapping import WrongColumns
from mailmaker.ingest.readers.columns import Habits
from mailmaker.ingest.readers.digest import seed_of
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.filled import Filling, filled
from mailmaker.ingest.readers.job import Answer, Job
from mailmaker.ingest.readers.laying import laying
from mailmaker.ingest.readers.limits import peak
from mailmaker.ingest.readers.opening import Opening, look
from mailmaker.ingest.readers.opt_outs import OptOuts
from mailmaker.ingest.readers.records import Records
from mailmaker.ingest.readers.repeats import name_each, told_of
from mailmaker.ingest.readers.staging import Staging
from mailmaker.ingest.readers.trailer import Trailer, find

_REPORT_EVERY = 0.25


def stage(job: Job, tell: Callable[[Answer], None]) -> Answer:
    """Reads the upload, writes the staged file, its outline and the rejects file. `tell` hears of progress a few times a
    second.

    All get their names only when they are whole and on disk; a file that cannot be read leaves none.
    """
    paths = (job.staged, job.outline, job.rejects)
    made = [Path(f"{path}.{os.getpid()}") for path in paths]
    try:
        answer = _staged(job, made[0], made[1], made[2], tell)
        for temporary, path in zip(made, paths, strict=True):
            os.replace(temporary, path)
            _sync_directory(Path(path).parent)
        return answer
    except Unreadable as wrong:
        return Answer(code=wrong.code, detail=wrong.detail, peak=peak())
    except WrongColumns as wrong:
        return Answer(code=wrong.faults[0].code, detail=str(wrong), peak=peak())
    finally:
        for temporary in (*made, told_of(made[1])):
            temporary.unlink(missing_ok=True)


def _staged(job: Job, staged: Path, outline: Path, rejects: Path, tell: Callable[[Answer], None]) -> Answer:
    with open(job.upload, "rb") as upload, open(rejects, "w", encoding="utf-8", newline="") as bad:
        opening = look(upload, job.wishes(), job.not_utf8_at)
        trailer = trailer_of(job, upload, opening)
        columns = filled(opening.mapped, filling_of(job))
        seed = seed_of([column.field for column in columns], job.empty_cells)
        with laying(staged, outline, seed, os.fstat(upload.fileno()).st_size) as layer:
            key = opening.mapped.fields[0] if job.naming else job.key
            staging = (OptOuts if job.naming else Staging)(
                columns, opening.mapped, key, layer, bad, names_rejected=job.names_rejected
            )
            end = None if trailer is None else trailer.end
            records = Records(upload, opening.charset, opening.dialect, end=end)
            rows, rejected = staging.run(records, _paced(tell))
            if rows == 0:
                raise Unreadable("file.no_rows", "the file has a header and no rows")
            duplicate, beside = layer.end()
        if duplicate:
            once_more = Records(upload, opening.charset, opening.dialect, end=end)
            name_each(once_more, told_of(outline), staging.name_duplicate)
        bad.flush()
        os.fsync(bad.fileno())
    findings = records.damage.findings(rows) + _counted(rows, job.expected_rows)
    return Answer(
        rows=rows,
        done=True,
        staged=rows - rejected - duplicate - staging.marked,
        rejected=rejected,
        duplicate=duplicate + staging.marked,
        named=staging.named,
        encoding=opening.charset.codec,
        delimiter=opening.dialect.delimiter,
        fields=opening.mapped.fields,
        ignored=opening.mapped.ignored,
        findings=tuple(findings + ([] if trailer is None else trailer.findings(rows))),
        key_column=opening.mapped.column_of(job.key),
        peak=max(peak(), beside),
    )


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


def _paced(tell: Callable[[Answer], None]) -> Callable[[int], None]:
    last = time.monotonic()

    def report(rows: int) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= _REPORT_EVERY:
            last = now
            tell(Answer(rows=rows))

    return report


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
