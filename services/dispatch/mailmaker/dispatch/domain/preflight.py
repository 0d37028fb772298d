"""dispatch.domain: what keeps a mailing from starting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.dispatch.domain.egress import Egress, Facts
from mailmaker.dispatch.domain.mailing import Mailing
from mailmaker.dispatch.domain.sending import MailList, Sender


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing that must change first. `pointer` names the mailing's field."""

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Target:
    """A segment as contacts knows it now."""

    list_id: UUID
    retired: bool
    broken: bool


def segment_blocker(segment: Target | None, list_ids: Sequence[UUID]) -> Blocker | None:
    """What keeps a mailing from using a segment."""
    if segment is None or segment.retired:
        return Blocker("/segment", "segment.unknown", "this account has no such segment, or not any more")
    if list(list_ids) != [segment.list_id]:
        return Blocker(
            "/segment", "segment.other_list", "a segment narrows its own list: name that one alone"
        )
    if segment.broken:
        return Blocker(
            "/segment", "segment.broken", "its rule names a field that the list has lost; change it"
        )
    return None


def blockers(
    mailing: Mailing,
    sender: Sender | None,
    lists: Mapping[UUID, MailList],
    now: datetime,
    segment: Blocker | None = None,
    ways: Egress | None = None,
) -> tuple[Blocker, ...]:
    """Everything that keeps a mailing from starting now. None of it is passed over."""
    found = [] if segment is None else [segment]
    if sender is None:
        found.append(Blocker("/sender", "sender.unknown", "the sender is gone"))
    elif not sender.domain_verified:
        found.append(
            Blocker("/sender", "domain.unverified", "the sender's domain does not show our DKIM key")
        )
    for place, list_id in enumerate(mailing.list_ids):
        if list_id not in lists or lists[list_id].closed:
            found.append(Blocker(f"/lists/{place}", "list.unknown", "the list is gone"))
        elif ways is not None and ways.pools and sender is not None:
            found += _no_way(ways, mailing, sender, list_id, place)
    if mailing.valid_until is not None and mailing.valid_until <= (mailing.schedule or now):
        found.append(Blocker("/valid_until", "mailing.over", "it would be over before it begins"))
    return tuple(found)


def _no_way(ways: Egress, mailing: Mailing, sender: Sender, list_id: UUID, place: int) -> list[Blocker]:
    """What a list's mail would wait for: a rule, or a source. A rule that asks for the provider may leave others waiting,
    so the recipients of none are asked about."""
    choice = ways.choose(
        Facts(
            sender.id,
            sender.email.rpartition("@")[2],
            list_id,
            mailing.tag,
            mailing.mail_class,
            provider=None,
        )
    )
    if choice is None:
        why = "no route holds for it and the account has no default pool: add one"
        return [Blocker(f"/lists/{place}", "route.none", why)]
    if not ways.out_of(choice.pool_id):
        name = ways.pools[choice.pool_id].name
        return [Blocker(f"/lists/{place}", "pool.no_source", f"no source of the pool {name!r} is active")]
    return []
