"""suppression.domain.release: who may take back a "no", and what of it then still stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.suppressions import Reason, Scope
from mailmaker.suppression.domain.no import Place
from mailmaker.suppression.domain.reasons import RULES, Kind


def only_by_person(reason: Reason) -> bool:
    """Whether this "no" was the person's own word, which no client and no operator takes back."""
    return RULES[reason].personal


@dataclass(frozen=True, slots=True)
class Standing:
    """An entry that is in force, as far as an import may lift it. `list_ids`: the lists where it stands;
    None for a contact's own key that was recorded before its list was known. `last_said`:
    when it was recorded, or said again."""

    kind: Kind
    scope: Scope
    list_ids: frozenset[UUID | None]
    last_said: datetime


def liftable(entry: Standing, list_id: UUID, not_after: datetime) -> bool:
    """Whether an import with a stated lawful basis lifts it: the person's own opt-out from this very list, and not said
    since. Never a complaint, a bounce, an erasure, an operator's word, or an opt-out from the whole account."""
    return (
        entry.kind == "will"
        and entry.scope == "list"
        and list_id in entry.list_ids <= {list_id, None}
        and entry.last_said <= not_after
    )


def lifted(held: Iterable[Place], still: Iterable[Place]) -> dict[UUID | None, tuple[bytes, ...]]:
    """The keys to release, by list: those of the entry that no other entry holds at the same place of the feed.

    `still` are the places other entries hold: their kind and scope do not matter, the feed's readers see neither.
    """
    kept = {(p.channel, p.list_id, p.subject) for p in still}
    free: dict[UUID | None, tuple[bytes, ...]] = {}
    for place in held:
        if (place.channel, place.list_id, place.subject) not in kept:
            free[place.list_id] = (*free.get(place.list_id, ()), place.subject)
    return free
