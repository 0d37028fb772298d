"""contacts.domain.plans: what a file would do to a list, row by row; storage.plan_sql says the same set-based.

Each row of a file counts once: created, updated, unchanged, protected, rejected or duplicate. A full file also removes
the contacts it does not name; those are no rows of the file, and are counted beside the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from mailmaker.common.contracts.suppressions import Scope
from mailmaker.common.mail.address import Channel
from mailmaker.contacts.domain.consent import Consent, at_birth, opted_out
from mailmaker.contacts.domain.lists import STANDARD_FIELDS

Mode = Literal["incremental", "add", "update", "full", "opt_out"]
"""incremental writes new and known contacts; add only new ones; update only known ones; full also removes whom the file
does not name. A row of the other kind counts as unchanged: the list stays as it is. opt_out writes no contact: who is
named says "no" (domain.opt_outs)."""
Empty = Literal["keep", "erase"]


class Action(StrEnum):
    """What a plan's row says. Unchanged rows are only counted."""

    CREATED = "created"
    UPDATED = "updated"
    REMOVED = "removed"
    PROTECTED = "protected"


@dataclass(frozen=True, slots=True)
class Limits:
    """Percentages above which a plan waits for somebody's word; None: never for that reason."""

    removed: float | None = None
    dropped: float | None = None
    rejected: float | None = None
    of_contacts: int = 0
    """`removed` is asked of lists with at least so many contacts."""
    key_changed: bool = True
    """Whether a plan waits whose key comes from another column than in the last file."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Why people who opted out may be written to again, in the client's words, and when they consented anew."""

    text: str
    consented_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What a plan must know of its import."""

    mode: Mode
    fields: tuple[str, ...]
    empty_cells: Literal["keep", "erase"]
    consent: Consent
    rows: int
    rejected: int
    duplicate: int
    staged: int
    apply: Literal["auto", "on_approval"]
    empty_by_field: Mapping[str, Empty] = field(default_factory=dict)
    """Fields whose empty cells do something else than `empty_cells` says."""
    limits: Limits = Limits()
    findings: tuple[tuple[str, str], ...] = ()
    """What ingest found strange about the file, as (code, detail): such a plan waits too."""
    named: int = 0
    """Lines beside the staged rows that only name the key of a rejected row: its contact is not removed."""
    scope: Scope = "list"
    """opt_out: where its "no"s hold."""
    channel: Channel | None = None
    """opt_out: the channel that a key without an address is about; None: both."""
    received_at: datetime | None = None
    """When ingest had the file."""
    sent_by: UUID | None = None
    """The API key, or the drop, that the file came by."""
    basis: Basis | None = None
    """Stated where past cancellations are not protected (domain.lifting)."""
    key_column: str | None = None
    """The header of the file's column that fills the list's key field, where one does."""
    profile_id: UUID | None = None
    """ingest's saved profile that the file was read by."""
    by_line: bool = False
    """The file was told by its lines: `rejected`, `duplicate`, `staged` and `named` are not known yet."""

    @property
    def standard(self) -> tuple[str, ...]:
        """The standard fields the file has a column for, in a fixed order: these alone are compared and written."""
        return tuple(name for name in STANDARD_FIELDS if name in self.fields)

    @property
    def learns(self) -> bool:
        """Whether a row that changes nothing is what its contact is, and known so from then on. A row of mode add may say
        anything of a contact that the list has."""
        return self.by_line and self.mode != "add"

    def erases(self, name: str) -> bool:
        """Whether an empty cell clears this field."""
        return self.empty_by_field.get(name, self.empty_cells) == "erase"

    @property
    def custom(self) -> bool:
        return any(name not in STANDARD_FIELDS for name in self.fields)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of each. `removed` counts contacts, the others rows of the file."""

    rows: int
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    protected: int = 0
    rejected: int = 0
    duplicate: int = 0

    @property
    def adds_up(self) -> bool:
        told = self.created + self.updated + self.unchanged + self.protected + self.rejected + self.duplicate
        return told == self.rows and min(asdict(self).values()) >= 0

    def named(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Before:
    """An existing contact, as far as the classification needs it."""

    values: Mapping[str, str | None]
    email_consent: Consent
    sms_consent: Consent


def overlaid(
    before: Mapping[str, str | None], row: Mapping[str, str | None], options: Options
) -> dict[str, str | None]:
    """An existing contact's fields after a row of the file: an empty cell keeps or erases as the options say, and what
    the file has no column for stays. The key is never erased: a row without it was rejected before."""
    written = {name: row.get(name) for name in options.standard}
    said = {n: value for n, value in written.items() if value is not None or options.erases(n)}
    return {**before, **said}


def classify(
    before: Before | None, row: Mapping[str, str | None], options: Options, *, meets_a_no: bool
) -> Action | None:
    """What a row of the file is; None is unchanged. `meets_a_no`: its address, key or contact has said "no" before."""
    if before is None:
        if options.mode == "update":
            return None
        return Action.PROTECTED if meets_a_no else Action.CREATED
    if meets_a_no or opted_out(before.email_consent, before.sms_consent):
        return Action.PROTECTED
    if options.mode == "add":
        return None
    return Action.UPDATED if overlaid(before.values, row, options) != dict(before.values) else None


def consent_after(before: Consent | None, options: Options, *, meets_a_no: bool) -> Consent:
    """The consent an import leaves on one channel: it never raises an existing contact's."""
    if before is None:
        return at_birth(options.consent, meets_a_no=meets_a_no)
    return Consent.UNSUBSCRIBED if meets_a_no else before


def counted(
    options: Options, *, received: int, created: int, updated: int, protected: int, removed: int
) -> Counts:
    """The counts of a plan. What was received and is neither created, updated nor protected is unchanged; where that is
    not what was staged, the counts do not add up."""
    return Counts(
        rows=options.rows,
        created=created,
        updated=updated,
        protected=protected,
        removed=removed,
        rejected=options.rejected,
        duplicate=options.duplicate,
        unchanged=received - options.named - created - updated - protected,
    )


MOST_PLACES = 500_000


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Rows of a file that the list does not hold as they are: how many, and how many of them name a contact it has.
    `placed`: it is known where in the staged file each begins. `looked_up`: they are so few that each contact was looked up
    by its key, and so is better looked up by its id than read with the whole list."""

    rows: int
    known: int
    placed: bool
    looked_up: bool = False

    def few_of(self, staged: int) -> bool:
        """Whether they are better fetched one by one than with the whole file."""
        return self.placed and self.rows <= MOST_PLACES and self.rows * 4 <= staged

    def makes_all(self, options: Options) -> bool:
        """Whether each row that is pulled makes a contact: the list has none of them."""
        pulled = self.few_of(options.staged) or self.rows == options.staged
        return self.known == 0 and pulled and options.mode != "update"


MOST_LINES = 100_000
"""More lines than these are better read with the whole file, and so is a quarter of them: two cores then share the work."""


def worth_picking(lines: int, rows: int) -> bool:
    """Whether so many lines of a file are read without the others."""
    return lines <= MOST_LINES and lines * 4 <= rows


@dataclass(frozen=True, slots=True)
class Plan:
    """An import as this house keeps it."""

    account_id: UUID
    import_id: UUID
    list_id: UUID
    options: Options
    state: str
    counts: Counts | None = None
    applied: Counts | None = None

    def with_state(self, state: str) -> Plan:
        return replace(self, state=state)
