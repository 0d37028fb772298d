"""contacts.domain.guards: what must not be applied unseen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mailmaker.contacts.domain.plans import Counts, Limits, Options


@dataclass(frozen=True, slots=True)
class Guarded:
    """Why a plan waits for somebody's word, or why it cannot be applied at all."""

    state: Literal["quarantined", "failed"]
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Known:
    """What of the list a guard looks at: its contacts, and of the last file that was applied to it its rows and the
    column that filled the key. Files of one mode are compared, and of one profile where both have one: a short
    incremental file after a full one tells nothing, nor does the full one after it."""

    contacts: int = 0
    last_rows: int | None = None
    last_key_column: str | None = None


def guard(counts: Counts, options: Options, known: Known) -> Guarded | None:
    """What must not be applied unseen: the first thing that is wrong with a plan, or None."""
    if not counts.adds_up:
        return Guarded(
            "failed",
            "plan.broken",
            "the rows received are not the rows that were staged; send the file again",
        )
    if (
        options.mode == "full"
        and known.contacts
        and counts.created + counts.updated + counts.unchanged + counts.protected == 0
    ):
        return Guarded(
            "quarantined", "guard.would_empty", "a full file without one good row would empty the list"
        )
    for code, detail in options.findings:
        return Guarded("quarantined", code, detail)
    return _key_changed(options, known) or _above(counts, options.limits, known)


def _key_changed(options: Options, known: Known) -> Guarded | None:
    """A file that names people by something else makes each of them a new contact."""
    now, before = options.key_column, known.last_key_column
    if not options.limits.key_changed or now is None or before is None or _letters(now) == _letters(before):
        return None
    detail = f"the list's key comes from the column {now!r}; in the last file it came from {before!r}"
    return Guarded("quarantined", "guard.key_changed", detail)


def _letters(header: str) -> str:
    """A header without case and punctuation: `E-Mail` is `email`."""
    return "".join(c for c in header.casefold() if c.isalnum()) or header


def _above(counts: Counts, limits: Limits, known: Known) -> Guarded | None:
    before = known.last_rows or 0
    removed = limits.removed if known.contacts >= limits.of_contacts else None
    for code, limit, many, of, said in (
        ("guard.removed", removed, counts.removed, known.contacts, "contacts would be removed"),
        ("guard.dropped", limits.dropped, before - counts.rows, before, "rows fewer than in the last file"),
        ("guard.rejected", limits.rejected, counts.rejected, counts.rows, "rows were rejected"),
    ):
        if limit is not None and of and many * 100 > limit * of:
            return Guarded("quarantined", code, f"{many} of {of} {said}: more than {limit:g} %")
    return None


def still_guarded(seen: Counts, counts: Counts, options: Options, known: Known) -> Guarded | None:
    """What keeps an approved plan, computed anew, from being applied: something that was not there to be seen."""
    guarded = guard(counts, options, known)
    if guarded is not None and (guarded.state == "failed" or guard(seen, options, known) is None):
        return guarded
    if counts.removed > seen.removed:
        detail = f"{counts.removed} contacts would be removed now where {seen.removed} were approved"
        return Guarded("quarantined", "guard.more_removed", detail)
    return None


def unlike_shown(unseen: int) -> Guarded | None:
    """What keeps an approved plan from being applied that would write rows otherwise than they were shown."""
    if not unseen:
        return None
    detail = f"contacts were edited since it was shown; rows that would be written otherwise now: {unseen}"
    return Guarded("quarantined", "plan.changed", detail)
