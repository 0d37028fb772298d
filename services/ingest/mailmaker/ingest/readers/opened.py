"""ingest.readers.opened: what a file is, opened once before it is acknowledged, and shown where somebody asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from mailmaker.ingest.domain.fields import shown
from mailmaker.ingest.domain.mapping import ColumnMap, WrongColumns
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.job import Job, Opened, Said
from mailmaker.ingest.readers.kinds import PACKED, WORKBOOKS, Kind, detect
from mailmaker.ingest.readers.limits import peak, too_large
from mailmaker.ingest.readers.opening import columns_of, shape
from mailmaker.ingest.readers.records import Records
from mailmaker.ingest.readers.scan import Scan
from mailmaker.ingest.readers.table import DELIMITER, ENCODING
from mailmaker.ingest.readers.unpack import check_workbook, unpacked

_LONGEST_SHOWN = 200
_MOST_SHOWN = 200_000
"""Characters of sample: one answer is one line."""
_PIECE = 1 << 20


def opened(job: Job) -> Opened:
    """Tells what the file is; what is no CSV is written as one into `job.staged`. Whatever is wrong is in `faults`."""
    packed = Path(f"{job.staged}.packed")
    try:
        found = _opened(job, packed)
    except Unreadable as wrong:
        found = Opened(faults=(Said(wrong.code, wrong.detail, wrong.pointer, wrong.line),))
    except MemoryError:
        large = too_large()
        found = Opened(faults=(Said(large.code, large.detail),))
    finally:
        packed.unlink(missing_ok=True)
    return replace(found, peak=peak())


def _opened(job: Job, temporary: Path) -> Opened:
    """Unpacked, then written as a table, then looked at: each step makes the file that the next one reads."""
    found = Opened(line_ends=job.line_ends, not_utf8_at=job.not_utf8_at)
    source = Path(job.upload)
    with open(source, "rb") as file:
        kind = detect(file)
        if kind in PACKED:
            found = replace(found, packed=kind.value)
            with open(temporary, "wb") as target:
                unpacked(kind, file, target, job.most)
            source = temporary
    if kind in PACKED:
        with open(source, "rb") as file:
            kind = detect(file)
        if kind in PACKED:
            raise Unreadable("file.packed_twice", "the file is packed twice; pack it once")
    if kind is Kind.CSV and job.json_lines:
        kind = Kind.JSON_LINES
    found = replace(found, kind=kind.value)
    if kind is not Kind.CSV:
        found = _as_table(source, kind, job, found)
        source = Path(job.staged)
    elif found.packed is not None:
        os.replace(temporary, job.staged)
        source = Path(job.staged)
        found = replace(_scanned(source, found), plain=True)
    return _looked_at(source, job, found)


def _as_table(source: Path, kind: Kind, job: Job, found: Opened) -> Opened:
    with open(job.staged, "w", encoding=ENCODING, newline="", errors="replace") as target:
        if kind is Kind.JSON_LINES:
            from mailmaker.ingest.readers import json_lines

            with open(source, "rb") as file:
                lines = 1 + json_lines.written(file, target, job.most)
            found = replace(found, first_line=0)
        else:
            from mailmaker.ingest.readers import workbook

            if kind in WORKBOOKS - {Kind.XLS}:
                with open(source, "rb") as file:
                    check_workbook(file, source.stat().st_size, job.most)
            sheet = workbook.written(source, kind, job.sheet, target, job.most)
            lines = sheet.rows
            found = replace(found, sheets=tuple(map(shown, sheet.names)), sheet=shown(sheet.name))
    told = {
        "encoding": ENCODING,
        "delimiter": DELIMITER,
        "plain": True,
        "line_ends": lines,
        "not_utf8_at": None,
    }
    return replace(found, **told)  # type: ignore[arg-type]


def _scanned(path: Path, found: Opened) -> Opened:
    scan = Scan()
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            scan.feed(piece)
    told = scan.end()
    return replace(found, line_ends=told.line_ends, not_utf8_at=told.not_utf8_at)


def _looked_at(source: Path, job: Job, found: Opened) -> Opened:
    asked = replace(
        job,
        encoding=found.encoding or job.encoding,
        delimiter=found.delimiter or job.delimiter,
        first_line=found.first_line,
    )
    with open(source, "rb") as file:
        charset, dialect, header = shape(file, asked.wishes(), found.not_utf8_at)
        if found.encoding is None:
            found = replace(found, encoding=charset.codec, delimiter=dialect.delimiter)
        if found.line_ends <= 1:
            raise Unreadable("file.no_rows", "the file has a header and no rows")
        mapped: ColumnMap | None = None
        try:
            mapped = columns_of(header, asked.wishes())
            if job.defaults or job.sample:
                _check_defaults(asked, mapped)
        except WrongColumns as wrong:
            faults = tuple(Said(one.code, one.detail, one.pointer) for one in wrong.faults)
            found = replace(found, faults=faults)
        if not job.sample:
            return found
        rows = islice(_rows(Records(file, charset, dialect)), 1, job.sample + 1)
        return _shown(found, asked, header, mapped, list(rows))


def _check_defaults(job: Job, mapped: ColumnMap) -> None:
    from mailmaker.ingest.readers.filled import filled
    from mailmaker.ingest.readers.looked import filling_of

    filled(mapped, filling_of(job))


def _rows(records: Records) -> Iterator[tuple[int, list[str]]]:
    for batch in records:
        yield from zip(batch.lines, batch.rows, strict=True)


def _shown(
    found: Opened, job: Job, header: list[str], mapped: ColumnMap | None, rows: list[tuple[int, list[str]]]
) -> Opened:
    from mailmaker.ingest.readers.sample import fields_of, problems

    room = max(
        1, _MOST_SHOWN // max(1, sum(len(cell[:_LONGEST_SHOWN]) + 4 for _, row in rows for cell in row))
    )
    longest = _LONGEST_SHOWN if room > 1 else max(10, _MOST_SHOWN // max(1, sum(len(row) for _, row in rows)))
    sample = tuple((line, tuple(cell[:longest] for cell in row)) for line, row in rows)
    columns = tuple(
        zip((cell.strip()[:_LONGEST_SHOWN] for cell in header), fields_of(header, mapped), strict=True)
    )
    return replace(
        found, columns=columns, sample=sample, problems=() if mapped is None else problems(mapped, job, rows)
    )
