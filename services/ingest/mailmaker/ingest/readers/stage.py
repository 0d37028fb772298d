"""ingest.readers.stage: stages one file on disk: temporary files, fsync, then their names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mailmaker.ingest.domain.mapping import WrongColumns
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.job import Answer, Job
from mailmaker.ingest.readers.laying import laying
from mailmaker.ingest.readers.limits import peak
from mailmaker.ingest.readers.looked import Looked, looked
from mailmaker.ingest.readers.opt_outs import OptOuts
from mailmaker.ingest.readers.outlined import outlined
from mailmaker.ingest.readers.picked import LinesJoined, Picked, wanted_in
from mailmaker.ingest.readers.records import Records
from mailmaker.ingest.readers.repeats import name_each, told_of
from mailmaker.ingest.readers.staging import Staging

_REPORT_EVERY = 0.25


def stage(job: Job, tell: Callable[[Answer], None]) -> Answer:
    """Reads the upload, writes the staged file, its outline and the rejects file; or its lines and a rejects file without
    rows, where only those lines are to be read that the list does not hold. `tell` hears of progress a few times a second.

    All get their names only when they are whole and on disk; a file that cannot be read leaves none.
    """
    staged, outline, rejects, lines = made = [
        Path(f"{path}.{os.getpid()}") for path in (job.staged, job.outline, job.rejects, job.lines)
    ]
    try:
        with open(job.upload, "rb") as upload:
            it = looked(job, upload)
            answer = outlined(it, lines, rejects) or _staged(it, staged, outline, rejects, tell)
        for temporary in (lines, rejects) if answer.by_line else (staged, outline, rejects):
            path = temporary.with_suffix("")
            os.replace(temporary, path)
            _sync_directory(path.parent)
        return answer
    except LinesJoined:
        return Answer(done=True, joined=True, peak=peak())
    except Unreadable as wrong:
        return Answer(code=wrong.code, detail=wrong.detail, peak=peak())
    except WrongColumns as wrong:
        return Answer(code=wrong.faults[0].code, detail=str(wrong), peak=peak())
    finally:
        for temporary in (*made, told_of(outline)):
            temporary.unlink(missing_ok=True)


def _staged(it: Looked, staged: Path, outline: Path, rejects: Path, tell: Callable[[Answer], None]) -> Answer:
    job, mapped = it.job, it.opening.mapped
    # Of few lines a process beside would cost more than it does.
    size = 0 if job.wanted else os.fstat(it.upload.fileno()).st_size
    with open(rejects, "w", encoding="utf-8", newline="") as bad:
        with laying(staged, outline, it.seeds, size) as layer:
            key = mapped.fields[0] if job.naming else job.key
            staging = (OptOuts if job.naming else Staging)(
                it.columns, mapped, key, layer, bad, names_rejected=job.names_rejected
            )
            records = _records(it)
            rows, rejected = staging.run(records, _paced(tell))
            if rows == 0:
                raise Unreadable("file.no_rows", "the file has a header and no rows")
            duplicate, beside = layer.end()
        if duplicate:
            name_each(_records(it), told_of(outline), staging.name_duplicate)
        bad.flush()
        os.fsync(bad.fileno())
    return replace(
        it.answer(rows, records.damage.findings(rows)),
        staged=rows - rejected - duplicate - staging.marked,
        rejected=rejected,
        duplicate=duplicate + staging.marked,
        named=staging.named,
        peak=max(peak(), beside),
    )


def _records(it: Looked) -> Picked | Records:
    records = it.records()
    return Picked(records, wanted_in(it.job.wanted)) if it.job.wanted else records


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
