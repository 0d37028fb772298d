"""suppression.domain.release: who may take back a "no", and what of it then still stands."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from mailmaker.common.contracts.suppressions import Reason
from mailmaker.suppression.domain.no import Place
from mailmaker.suppression.domain.reasons import RULES


def only_by_person(reason: Reason) -> bool:
    """Whether this "no" was the person's own word, which no client and no operator takes back."""
    return RULES[reason].personal


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
