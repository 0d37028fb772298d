"""suppression.domain.decide: a new "no", or one that is already in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from mailmaker.suppression.domain.no import No, Place


@dataclass(frozen=True, slots=True)
class New:
    """To be appended to the ledger."""

    no: No


@dataclass(frozen=True, slots=True)
class Repeat:
    """Already said by `first`. `missing` are keys the first entry did not know: they join it.

    `again`: the very same hand-over (its id is in the ledger), so not even the repetition is evidence.
    """

    no: No
    first: UUID
    missing: tuple[bytes, ...] = ()
    again: bool = False


Decision = New | Repeat


def decide(
    nos: Iterable[No], in_force: Mapping[Place, UUID], recorded: Mapping[UUID, UUID]
) -> list[Decision]:
    """One decision a "no", in order, each seeing those before it.

    `in_force`: identity of a place -> its first entry. `recorded`: id of a "no" heard before -> the entry it is in.
    """
    seen = dict(in_force)
    heard = dict(recorded)
    decisions: list[Decision] = []
    for no in nos:
        decision = _decide(no, seen, heard)
        first = decision.first if isinstance(decision, Repeat) else no.id
        heard[no.id] = first
        for subject in no.subjects:
            seen.setdefault(no.place(subject).identity(), first)
        decisions.append(decision)
    return decisions


def _decide(no: No, seen: Mapping[Place, UUID], heard: Mapping[UUID, UUID]) -> Decision:
    if (before := heard.get(no.id)) is not None:
        return Repeat(no, before, again=True)
    first = seen.get(no.place(no.named).identity())
    if first is None:
        return New(no)
    missing = tuple(s for s in no.others if no.place(s).identity() not in seen)
    return Repeat(no, first, missing)
