"""ingest.readers.job: what the parsing child is told and what it answers: one JSON text a line, both ways."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from mailmaker.ingest.domain.fields import Field


@dataclass(frozen=True, slots=True)
class Job:
    """One file to stage. Paths are ours; `today` is the day that birth dates may not pass."""

    upload: str
    staged: str
    outline: str
    rejects: str
    key: str
    country: str
    today: str
    not_utf8_at: int | None = None
    custom: tuple[Field, ...] = ()
    mapping: dict[str, str | None] = field(default_factory=dict)
    encoding: str | None = None
    delimiter: str | None = None
    expected_rows: int | None = None
    empty_cells: str = "keep"
    names_rejected: bool = False

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Job:
        found = json.loads(line)
        found["custom"] = tuple(Field(**{**one, "values": tuple(one["values"])}) for one in found["custom"])
        return cls(**found)


@dataclass(frozen=True, slots=True)
class Answer:
    """A line of the child: `rows` so far; the last one says `done` or names a `code`."""

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

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Answer:
        found = json.loads(line)
        return cls(**{**found, "fields": tuple(found["fields"]), "ignored": tuple(found["ignored"])})
