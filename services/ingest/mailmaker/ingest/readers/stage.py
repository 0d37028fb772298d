"""ingest.readers.stage: stages one file on disk: temporary files, fsync, then their names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import IO

from mailmaker.ingest.domain.mapping import WrongColumns
from mailmaker.ingest.readers.columns import column
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.job import Answer, Job
from mailmaker.ingest.readers.opening import Wishes, look
from mailmaker.ingest.readers.records import Records
from mailmaker.ingest.readers.staging import Staging, without_repeats

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
        return Answer(code=wrong.code, detail=wrong.detail)
    except WrongColumns as wrong:
        return Answer(code=wrong.faults[0].code, detail=str(wrong))
    finally:
        for temporary in made:
            temporary.unlink(missing_ok=True)


def _staged(job: Job, staged: Path, outline: Path, rejects: Path, tell: Callable[[Answer], None]) -> Answer:
    today = date.fromisoformat(job.today)
    with (
        open(job.upload, "rb") as upload,
        _written(staged) as good,
        _written(outline) as entries,
        _written(rejects) as bad,
    ):
        wishes = Wishes(job.key, job.custom, job.mapping, job.encoding, job.delimiter)
        opening = look(upload, wishes, job.not_utf8_at)
        columns = [
            column(target.index, target.field, job.country, today) for target in opening.mapped.targets
        ]
        staging = Staging(
            columns,
            opening.mapped,
            job.key,
            good,
            entries,
            bad,
            empty_cells=job.empty_cells,
            names_rejected=job.names_rejected,
        )
        rows, rejected, repeated = staging.run(
            Records(upload, opening.charset, opening.dialect), _paced(tell)
        )
        _check_rows(rows, job.expected_rows)
        for file in (good, entries, bad):
            file.flush()
            os.fsync(file.fileno())
        duplicate = _dropped(staged, outline, repeated) if repeated else 0
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
    )


def _check_rows(rows: int, expected: int | None) -> None:
    if rows == 0:
        raise Unreadable("file.no_rows", "the file has a header and no rows")
    if expected is not None and rows != expected:
        raise Unreadable("file.row_count", f"{rows} rows where {expected} were announced: is the file cut?")


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
