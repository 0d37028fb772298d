"""ingest.domain.imports: an import: what was asked, where it stands, and how it may go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from mailmaker.ingest.domain.fields import Field

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
class Options:
    """What the client asked for, complete with defaults."""

    list_id: UUID
    mode: Literal["incremental", "full"]
    mapping: Mapping[str, str | None] = field(default_factory=dict)
    empty_cells: Literal["keep", "erase"] = "keep"
    protect_cancellations: bool = True
    consent: Literal["subscribed", "pending"] = "subscribed"
    apply: Literal["auto", "on_approval"] = "auto"
    expected_rows: int | None = None
    encoding: str | None = None
    delimiter: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The options as the API shows them."""
        return {
            "list": str(self.list_id),
            "mode": self.mode,
            "mapping": dict(self.mapping),
            "empty_cells": self.empty_cells,
            "protect_cancellations": self.protect_cancellations,
            "consent": self.consent,
            "apply": self.apply,
            "expected_rows": self.expected_rows,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Options:
        """Options that `as_json` wrote, also those of an earlier release."""
        rest = {name: value for name, value in found.items() if name in cls.__slots__}
        return cls(list_id=UUID(found["list"]), **rest)


@dataclass(frozen=True, slots=True)
class Upload:
    """The file as it came."""

    name: str
    size: int
    sha256: bytes
    line_ends: int
    not_utf8_at: int | None


@dataclass(frozen=True, slots=True)
class ListFacts:
    """What the reader must know of the list, as it was when the file came."""

    key: str
    country: str
    custom: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """How the file was read."""

    encoding: str = ""
    delimiter: str = ""
    fields: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


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

    @property
    def has_rejects(self) -> bool:
        """Whether the file was read to its end."""
        return bool(self.reading.encoding)
