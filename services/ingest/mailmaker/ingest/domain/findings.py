"""ingest.domain.findings: what is strange about a file that was read to its end: for somebody to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """A stable code, what was found, and where it begins."""

    code: str
    detail: str
    line: int | None = None
    count: int | None = None

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Finding:
        return cls(**{name: value for name, value in found.items() if name in cls.__slots__})
