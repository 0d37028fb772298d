"""ingest.domain.imports: an import: what was asked, where it stands, and how it may go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from mailmaker.ingest.domain.fields import Field
from mailmaker.ingest.domain.findings import Finding
from mailmaker.ingest.domain.options import Options

COUNTS = ("rows", "created", "updated", "unchanged", "removed", "protected", "rejected", "duplicate")
"""rows = created + updated + unchanged + protected + rejected + duplicate. `removed` counts contacts that a full file
no longer names: they are no rows of it, so they stand beside the sum."""

MOST_ATTEMPTS = 6
"""Times a file may be begun, counting those that ended because the service itself was killed."""
MOST_CRASHES = 2
"""Times the reading process may die of a file before the file is failed."""


class State(StrEnum):
    """received parsing staged planned [quarantined] applied; or failed, rejected, cancelled; undone after applied."""

    RECEIVED = "received"
    PARSING = "parsing"
    STAGED = "staged"
    PLANNED = "planned"
    QUARANTINED = "quarantined"
    APPLIED = "applied"
    UNDONE = "undone"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


CANCELLABLE = frozenset((State.RECEIVED, State.PARSING, State.PLANNED, State.QUARANTINED))
"""Where it waits for somebody: a staged import is being worked on by contacts, and its word decides."""


@dataclass(frozen=True, slots=True)
class Source:
    """How the file came: its kind, what it was packed in, and for what is no CSV how its plain form is written."""

    kind: str = "csv"
    packed: str | None = None
    sheet: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    first_line: int = 1


@dataclass(frozen=True, slots=True)
class Upload:
    """The file as it came."""

    name: str
    size: int
    sha256: bytes
    line_ends: int
    not_utf8_at: int | None
    source: Source = field(default_factory=Source)


@dataclass(frozen=True, slots=True)
class ListFacts:
    """What the reader must know of the list, as it was when the file came."""

    key: str
    country: str
    custom: tuple[Field, ...] = ()

    def stored(self, name: str) -> str:
        """How contacts names a field of the list."""
        return next((field.stored for field in self.custom if field.name == name), name)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the file was read."""

    encoding: str = ""
    delimiter: str = ""
    fields: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    seed: int = 0
    """That of its lines' digests."""
    by_line: bool = False
    """Told by its lines: contacts says which of them are to be read."""


@dataclass(frozen=True, slots=True)
class Import:
    """An import as it stands at one version."""

    account_id: UUID
    id: UUID
    options: Options
    upload: Upload
    about: ListFacts
    state: State
    created_at: datetime
    updated_at: datetime
    error_code: str | None = None
    error_detail: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    done: int = 0
    total: int = 0
    reading: Reading = field(default_factory=Reading)
    attempts: int = 0
    crashes: int = 0
    version: int = 1
    sent_by: UUID | None = None
    """The API key that sent the file, or the drop that it came by."""
    same_as: UUID | None = None
    """The last import before this one into the same list of the very same bytes, however it ended."""

    @property
    def has_rejects(self) -> bool:
        """Whether the file was read to its end."""
        return bool(self.reading.encoding)
