"""ingest.domain.profiles: saved options, and which of them a file's name chooses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Profile:
    """Saved options. Without a list it serves every list; without a pattern it is used by its id alone."""

    account_id: UUID
    id: UUID
    name: str
    list_id: UUID | None
    file_pattern: str | None
    options: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int = 1

    def says(self) -> dict[str, Any]:
        """The options with the profile's list among them."""
        listed = {} if self.list_id is None else {"list": str(self.list_id)}
        return {**self.options, **listed}


def chosen(profiles: Iterable[Profile], list_id: UUID | None, file_name: str) -> Profile | None:
    """The profile that a file's name chooses: the list's own before the account's, then the longest pattern.

    Patterns are those of a shell (`*`, `?`, `[a-z]`), compared without case. With no list named, any list's may be it.
    """
    name = file_name.casefold()
    fitting = [
        one
        for one in profiles
        if one.file_pattern is not None
        and fnmatchcase(name, one.file_pattern.casefold())
        and (list_id is None or one.list_id in (None, list_id))
    ]
    return min(fitting, key=_rank, default=None)


def _rank(profile: Profile) -> tuple[bool, int, UUID]:
    return profile.list_id is None, -len(profile.file_pattern or ""), profile.id
