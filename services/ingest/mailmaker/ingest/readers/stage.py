"""ingest.readers.stage: stages one file on disk: temporary files, fsync, then their names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import IO, BinaryIO

from mailmaker.ingest.domain.findings import Finding
from mailmaker.ingest.domain.mapping import WrongColumns
from mailmaker.ingest.readers.columns import Habits
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.filled import Filling, filled
from mailmaker.ingest.readers.job import Answer, Job
from mailmaker.ingest.readers.limits import peak
from mailmaker.ingest.readers.opening import Opening, look
from mailmaker.ingest.readers.opt_outs import OptOuts
from mailmaker.ingest.readers.records import Records
from mailmaker.ingest.readers.staging import Staging, without_repeats
from mailmaker.ingest.readers.trailer import Trailer, find

_BUFFER = 1 << 20
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
        for temporary in made:
            temporary.unlink(missing_ok=True)


def _staged(job: Job, staged: Path, outline: Path, rejects: Path, tell: Callable[[Answer], None]) -> Answer:
    with (
        open(job.upload, "rb") as upload,
        _written(staged) as good,
        _written(outline) as entries,
        _written(rejects) as bad,
    ):
        opening = look(upload, job.wishes(), job.not_utf8_at)
        trailer = trailer_of(job, upload, opening)
        staging = (OptOuts if job.naming else Staging)(
            filled(opening.mapped, filling_of(job)),
            opening.mapped,
            opening.mapped.fields[0] if job.naming else job.key,
            good,
            entries,
            bad,
            empty_cells=job.empty_cells,
            names_rejected=job.names_rejected,
        )
        records = Records(
            upload, opening.charset, opening.dialect, end=None if trailer is None else trailer.end
        )
        rows, rejected, repeated = staging.run(records, _paced(tell))
        if rows == 0:
            raise Unreadable("file.no_rows", "the file has a header and no rows")
        for file in (good, entries, bad):
            file.flush()
            os.fsync(file.fileno())
        duplicate = _dropped(staged, outline, repeated) if repeated else 0
    findings = records.damage.findings(rows) + _counted(rows, job.expected_rows)
    return Answer(
        rows=rows,
        done=True,
        staged=rows - rejected - duplicate,
        rejected=rejected,
        duplicate=duplicate,
        named=staging.named,
        encoding=opening.charset.codec,
        delimiter=opening.dialect.delimiter,
        fields=opening.mapped.fields,
        ignored=opening.mapped.ignored,
        findings=tuple(findings + ([] if trailer is None else trailer.findings(rows))),
        peak=peak(),
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


def _written(path: Path) -> IO[str]:
    return open(path, "w", encoding="utf-8", newline="", buffering=_BUFFER)


def _dropped(staged: Path, outline: Path, repeated: set[int]) -> int:
    """Rewrites the staged file and its outline without the later rows of repeated keys."""
    once = [path.with_name(path.name + ".once") for path in (staged, outline)]
    with (
        open(staged, encoding="utf-8", newline="\n", buffering=_BUFFER) as rows,
        open(outline, encoding="utf-8", newline="\n", buffering=_BUFFER) as entries,
        _written(once[0]) as kept,
        _written(once[1]) as kept_entries,
    ):
        dropped = without_repeats(rows, entries, kept, kept_entries, repeated)
        for file in (kept, kept_entries):
            file.flush()
            os.fsync(file.fileno())
    for temporary, path in zip(once, (staged, outline), strict=True):
        os.replace(temporary, path)
    return dropped


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
