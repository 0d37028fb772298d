"""ingest.readers.outlined: a file told by its lines, uncut, so that only those which the list does not hold need be read."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

from mailmaker.ingest.domain import outlines
from mailmaker.ingest.readers.digest import digests
from mailmaker.ingest.readers.job import Answer
from mailmaker.ingest.readers.keys import Keys
from mailmaker.ingest.readers.limits import peak
from mailmaker.ingest.readers.looked import Looked
from mailmaker.ingest.readers.rejects import begun
from mailmaker.ingest.readers.repeats import synced, written
from mailmaker.ingest.readers.staging import ROW_LIMIT


def outlined(it: Looked, lines: Path, rejects: Path) -> Answer | None:
    """Writes an entry a line, and the head of a rejects file. None: the file is to be read, since the list does not hold
    lines that were read in the same way, or two lines are the same, or the header is more than one, or there are not as
    many as were announced. Raises Unreadable."""
    job = it.job
    if job.known_seed != it.seeds[1] or job.wanted or job.naming or it.trailer is not None:
        return None
    records, keys, rows = it.records(), Keys(), -1
    with written(lines) as out:
        out.write(outlines.HEAD)
        for numbers, texts in records.uncut():
            if rows < 0:
                if next(csv.reader([texts[0]], delimiter=records.delimiter)) != [*it.opening.mapped.header]:
                    return None
                numbers, texts, rows = numbers[1:], texts[1:], 0
            marks = digests(map(str.encode, texts), it.seeds[1])
            keys.add(marks)
            out.write(outlines.lines(numbers, marks))
            rows += len(marks)
        out.write(outlines.END)
        synced(out)
    if not 0 < rows <= ROW_LIMIT or job.expected_rows not in (None, rows) or keys.repeated():
        return None
    with open(rejects, "w", encoding="utf-8", newline="") as bad:
        begun(it.opening.mapped, bad)
        bad.flush()
        os.fsync(bad.fileno())
    return replace(it.answer(rows, records.damage.findings(rows)), by_line=True, peak=peak())
