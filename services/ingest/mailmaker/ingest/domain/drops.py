"""ingest.domain.drops: an inbox, what may be sent to it, and when a file in it is complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from mailmaker.ingest.domain.paths import DONE_MARK, is_mark, is_unfinished, matches

Protocol = Literal["sftp", "ftps", "ftp"]


class Mark(StrEnum):
    """What is known of a file from how it came."""

    OPEN = "open"
    """Its writer has not closed it: at work, or gone in the middle."""
    CLOSED = "closed"
    """Its writer closed it."""
    COMPLETE = "complete"
    """It was renamed to a finished name: its writer says that it is whole."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Files whose name matches the pattern are imported so.

    `asked`: the options that the client named, as POST /v1/imports takes them: the list always. When a file comes they
    are completed by the profile that is named, else by the one that the file's name chooses; by none where null is named.
    """

    pattern: str
    asked: Mapping[str, Any]

    @property
    def list_id(self) -> UUID:
        """The list it feeds."""
        return UUID(self.asked["list"])

    @property
    def profile(self) -> UUID | None:
        """The saved profile that completes what was asked."""
        found = self.asked.get("profile")
        return None if found is None else UUID(found)

    @property
    def by_name(self) -> bool:
        """Whether a file's name may choose the profile."""
        return "profile" not in self.asked

    @property
    def override(self) -> str | None:
        """The option by which its files would take opt-outs back, also those said after the drop was opened: consent is
        stated for one file, by who sends it."""
        if self.asked.get("protect_cancellations") is False:
            return "protect_cancellations"
        return None if self.asked.get("lawful_basis") is None else "lawful_basis"

    def as_json(self) -> dict[str, Any]:
        return {"pattern": self.pattern, "asked": dict(self.asked)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Rule:
        return cls(found["pattern"], found["asked"])


@dataclass(frozen=True, slots=True)
class Drop:
    """An inbox of an account. `credentials` counts the changes of what opens it."""

    account_id: UUID
    id: UUID
    user_name: str
    name: str
    protocols: tuple[str, ...]
    rules: tuple[Rule, ...]
    created_at: datetime
    updated_at: datetime
    password_hash: str | None = None
    public_keys: tuple[str, ...] = ()
    quota_bytes: int | None = None
    quota_files: int | None = None
    active: bool = True
    closed: bool = False
    credentials: int = 1
    version: int = 1
    last_login_at: datetime | None = None

    @property
    def lists(self) -> frozenset[UUID]:
        """The lists it may feed."""
        return frozenset(rule.list_id for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Lying:
    """A file as it lies in `in/`. `changed_at`: seconds of the epoch at which the file system last saw it change,
    which no client can set."""

    name: str
    size: int
    inode: int
    modified_ns: int
    changed_at: float
    mark: Mark


@dataclass(frozen=True, slots=True)
class Found:
    """What a look into `in/` finds: files to take, files whose writer never came back, marks that nothing needs."""

    ready: tuple[Lying, ...] = ()
    cut: tuple[Lying, ...] = ()
    stale_marks: tuple[str, ...] = ()


def look_through(lying: Iterable[Lying], now: float, *, stable: float, patience: float) -> Found:
    """Decides what is complete. Oldest first.

    A file is complete when its name does not say otherwise and: it was renamed to its name; or `NAME.done` was put beside
    it after its last change; or its writer closed it and it has not changed for `stable` seconds. Whoever takes it finds
    out whether somebody writes to it. What is not complete after `patience` seconds was cut off; a mark without its file
    is then stale.
    """
    files = {one.name: one for one in lying}
    marks = {one.name[: -len(DONE_MARK)]: one for one in files.values() if is_mark(one.name)}
    ready, cut, stale = [], [], []
    for one in sorted(files.values(), key=lambda one: (one.changed_at, one.name)):
        old = now - one.changed_at >= patience
        if is_mark(one.name):
            if old and one.name[: -len(DONE_MARK)] not in files:
                stale.append(one.name)
        elif _is_complete(one, marks.get(one.name), now, stable):
            ready.append(one)
        elif old:
            cut.append(one)
    return Found(tuple(ready), tuple(cut), tuple(stale))


def _is_complete(one: Lying, mark: Lying | None, now: float, stable: float) -> bool:
    if is_unfinished(one.name):
        return False
    if one.mark is Mark.COMPLETE:
        return True
    if mark is not None and mark.changed_at >= one.changed_at:
        return True
    return one.mark is Mark.CLOSED and now - one.changed_at >= stable


def rule_for(drop: Drop, name: str) -> Rule | None:
    """The first rule whose pattern the name matches; case does not count, an encrypted file's last ending neither."""
    return next((rule for rule in drop.rules if matches(rule.pattern, name)), None)


class TakenState(StrEnum):
    """taking -> received (an import exists) | rejected (none was made)."""

    TAKING = "taking"
    RECEIVED = "received"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that was taken out of `in/`, and what became of it. `told`: which result its client has been given."""

    account_id: UUID
    drop_id: UUID
    id: UUID
    name: str
    size: int
    inode: int
    modified_ns: int
    state: TakenState
    taken_at: datetime
    import_id: UUID | None = None
    error_code: str | None = None
    error_detail: str | None = None
    told: str | None = None
    archived: bool = False

    @property
    def stamp(self) -> str:
        """The time in the names of what we put beside it."""
        return self.taken_at.strftime("%Y%m%dT%H%M%S.%fZ")
