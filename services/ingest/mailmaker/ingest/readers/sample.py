"""ingest.readers.sample: the first rows of a file as an import would take them: which cells it would refuse, and why."""

from __future__ import annotations

from collections.abc import Sequence

from mailmaker.ingest.domain.mapping import ABSENT, ColumnMap
from mailmaker.ingest.readers.columns import Bad
from mailmaker.ingest.readers.filled import filled
from mailmaker.ingest.readers.job import Job, Said
from mailmaker.ingest.readers.looked import filling_of


def fields_of(header: Sequence[str], mapped: ColumnMap | None) -> list[str | None]:
    """The field that each column fills; two halves of one column are told as `name+surname`."""
    found: dict[int, list[str]] = {}
    for target in mapped.targets if mapped is not None else ():
        if target.index != ABSENT:
            found.setdefault(target.index, []).append(target.field.name)
    return ["+".join(found[index]) if index in found else None for index in range(len(header))]


def problems(mapped: ColumnMap, job: Job, rows: Sequence[tuple[int, list[str]]]) -> tuple[Said, ...]:
    """Every cell of the sample that would reject its row."""
    found: list[Said] = []
    width = len(mapped.header)
    columns = filled(mapped, filling_of(job))
    for line, row in rows:
        if len(row) != width and (len(row) < width or any(row[width:])):
            detail = f"{len(row)} cells where the header has {width}"
            found.append(Said("row.width", detail, line=line))
            continue
        for column in columns:
            made = column.cell("" if column.index == ABSENT else row[column.index])
            if type(made) is Bad:
                found.append(Said(made.code, made.detail, line=line, field=column.field.name))
            elif column.field.name == job.key and not made:
                found.append(Said("key.missing", "the list's key is empty", line=line, field=job.key))
    return tuple(found)
