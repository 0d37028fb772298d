"""ingest.domain.profiles: saved options, and which of them a file's name chooses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from mailmaker.ingest.domain.paths import matches

BY_NAME = "by_name"
"""Where a profile is named: the one that the file's name chooses, if any."""


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

    Patterns are those of a shell (`*`, `?`, `[a-z]`), compared without case; folders before the name and the last ending
    of an encrypted file do not count. With no list named, any list's may be it. A profile that opts people out of the
    whole account is used by its id alone.
    """
    name = file_name.replace("\\", "/").rpartition("/")[2]
    if not name:
        return None
    fitting = [
        one
        for one in profiles
        if one.file_pattern is not None
        and matches(one.file_pattern, name)
        and (list_id is None or one.list_id in (None, list_id))
        and one.options.get("scope") != "account"
    ]
    return min(fitting, key=_rank, default=None)


def _rank(profile: Profile) -> tuple[bool, int, UUID]:
    return profile.list_id is None, -len(profile.file_pattern or ""), profile.id
