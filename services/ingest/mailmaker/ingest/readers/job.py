"""ingest.readers.job: what the reading child is told and what it answers: one JSON text a line, both ways."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal

from mailmaker.ingest.domain.fields import Field
from mailmaker.ingest.domain.findings import Finding
from mailmaker.ingest.domain.options import SplitName
from mailmaker.ingest.readers.opening import Wishes


@dataclass(frozen=True, slots=True)
class Job:
    """One file to open or to stage. Paths are ours; `today` is the day that birth dates may not pass.

    Opening tells what the file is, writes what is no CSV as one into `staged`, and shows `sample` rows. Staging reads
    CSV only. `known_seed`: that of the lines which the list holds; a file read in the same way is told by its lines, into
    `lines`, and not read yet. `wanted`: a file with the numbers of the lines that alone are to be read then.
    """

    upload: str
    staged: str
    outline: str
    rejects: str
    key: str
    country: str
    today: str
    task: Literal["open", "stage"] = "stage"
    not_utf8_at: int | None = None
    line_ends: int = 0
    first_line: int = 1
    custom: tuple[Field, ...] = ()
    mapping: dict[str, str | None] = field(default_factory=dict)
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | int | None = None
    defaults: dict[str, str] = field(default_factory=dict)
    date_formats: tuple[str, ...] = ()
    decimal: str | None = None
    split_name: SplitName | None = None
    trailer: str | None = None
    expected_rows: int | None = None
    empty_cells: str = "keep"
    names_rejected: bool = False
    naming: tuple[str, ...] = ()
    lines: str = ""
    known_seed: int | None = None
    wanted: str = ""
    json_lines: bool = False
    sample: int = 0
    most: int = 2 << 30

    def wishes(self) -> Wishes:
        """What is asked of the file's head."""
        split = self.split_name
        return Wishes(
            self.key,
            self.custom,
            self.mapping,
            self.encoding,
            self.delimiter,
            self.first_line,
            None if split is None else split.column.strip(),
            self.defaults,
            self.naming,
        )

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Job:
        found = json.loads(line)
        found["custom"] = tuple(Field(**{**one, "values": tuple(one["values"])}) for one in found["custom"])
        found["date_formats"] = tuple(found["date_formats"])
        found["naming"] = tuple(found["naming"])
        found["split_name"] = None if found["split_name"] is None else SplitName(**found["split_name"])
        return cls(**found)


@dataclass(frozen=True, slots=True)
class Answer:
    """A line of the child that stages: `rows` so far; the last one says `done` or names a `code`.

    `seed` is that of its lines' digests. `by_line`: its lines were told, none was read. `joined`: a wanted line is no
    record by itself, and nothing was staged. `peak` is the most memory that the child has held, in KiB.
    """

    rows: int = 0
    done: bool = False
    staged: int = 0
    rejected: int = 0
    duplicate: int = 0
    named: int = 0
    code: str | None = None
    detail: str | None = None
    encoding: str = ""
    delimiter: str = ""
    fields: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    key_column: str | None = None
    seed: int = 0
    by_line: bool = False
    joined: bool = False
    peak: int = 0

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Answer:
        found = json.loads(line)
        found["findings"] = tuple(Finding.from_json(one) for one in found["findings"])
        return cls(**{**found, "fields": tuple(found["fields"]), "ignored": tuple(found["ignored"])})


@dataclass(frozen=True, slots=True)
class Said:
    """Something wrong: a pointer into the request, or a row's line and field; a stable code; what to do."""

    code: str
    detail: str
    pointer: str = "/file"
    line: int | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The word of the child that opens. With `faults` the file cannot be imported as it was asked.

    `plain`: the CSV that stands for the file was written. `columns` are (header, field or None); `sample` is
    (line, cells). `peak` is the most memory that the child has held, in KiB.
    """

    kind: str = ""
    packed: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheets: tuple[str, ...] = ()
    sheet: str | None = None
    plain: bool = False
    line_ends: int = 0
    not_utf8_at: int | None = None
    first_line: int = 1
    columns: tuple[tuple[str, str | None], ...] = ()
    sample: tuple[tuple[int, tuple[str, ...]], ...] = ()
    problems: tuple[Said, ...] = ()
    faults: tuple[Said, ...] = ()
    peak: int = 0

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Opened:
        found = json.loads(line)
        for name in ("problems", "faults"):
            found[name] = tuple(Said(**one) for one in found[name])
        found["sheets"] = tuple(found["sheets"])
        found["columns"] = tuple((column, name) for column, name in found["columns"])
        found["sample"] = tuple((number, tuple(cells)) for number, cells in found["sample"])
        return cls(**found)
