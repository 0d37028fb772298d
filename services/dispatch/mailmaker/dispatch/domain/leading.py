"""dispatch.domain: which egress paths lead the mail that is due, and whether a mail may still leave by the one it is on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from mailmaker.dispatch.domain.egress import (
    ANY_LANE,
    Choice,
    Egress,
    Facts,
    Source,
    provider_of_lane,
)
from mailmaker.dispatch.domain.running import RunningMailing

PathKey = tuple[UUID, UUID, str]
"""Account, source and lane."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a path may take of one mailing: the lists that rules send there, each with the rule, in one lane or in all."""

    mailing_id: UUID
    routes: Mapping[UUID, str]
    lane: str | None


def lead(
    ways: Mapping[UUID, Egress], mailings: Iterable[RunningMailing], due: Iterable[tuple[UUID, str]]
) -> dict[PathKey, list[Share]]:
    """The paths that have something to do. `due`: mailings and lanes with something due, where mail goes lane by lane.

    Fail closed (SHP-1): what no rule leads anywhere, and what is led to a pool without a source, is in no path.
    """
    lanes_of: dict[UUID, list[str]] = defaultdict(list)
    for mailing_id, lane in due:
        lanes_of[mailing_id].append(lane)
    found: dict[PathKey, list[Share]] = defaultdict(list)
    for mailing in mailings:
        out = ways.get(mailing.account_id)
        if out is None:
            continue
        lanes = lanes_of[mailing.id] if out.by_lane else [ANY_LANE] if mailing.due else []
        for lane in lanes:
            for pool_id, routes in _by_pool(out, mailing, lane).items():
                share = Share(mailing.id, routes, None if lane == ANY_LANE else lane)
                for source in out.out_of(pool_id):
                    found[mailing.account_id, source.id, lane].append(share)
    return dict(found)


def may_leave(out: Egress, source_id: UUID, lane: str, mailing: RunningMailing, list_id: UUID) -> bool:
    """Whether the rules of this moment still send a list's mail in a lane to the pool of an active source."""
    if out.by_lane == (lane == ANY_LANE):
        # It was claimed when nobody asked whose site it is, or is not asked any more.
        return False
    source = next((source for source in out.sources if source.id == source_id), None)
    choice = chosen(out, mailing, list_id, lane)
    return (
        source is not None
        and source.state == "active"
        and source.account_id == mailing.account_id
        and choice is not None
        and choice.pool_id == source.pool_id
    )


def chosen(out: Egress, mailing: RunningMailing, list_id: UUID, lane: str) -> Choice | None:
    """The pool that a list's mail in a lane leaves from, and by which rule."""
    return out.choose(
        Facts(
            sender_id=mailing.sender_id,
            sender_domain=mailing.sender_domain,
            list_id=list_id,
            tag=mailing.tag,
            mail_class=mailing.mail_class,
            provider=provider_of_lane(lane),
        )
    )


def source_of(ways: Mapping[UUID, Egress], key: PathKey) -> Source | None:
    """The source of a path, if it is there and active."""
    account_id, source_id, _ = key
    out = ways.get(account_id)
    sources = () if out is None else out.sources
    return next((one for one in sources if one.id == source_id and one.state == "active"), None)


def _by_pool(out: Egress, mailing: RunningMailing, lane: str) -> dict[UUID, dict[UUID, str]]:
    pools: dict[UUID, dict[UUID, str]] = defaultdict(dict)
    for list_id in mailing.list_ids:
        choice = chosen(out, mailing, list_id, lane)
        if choice is not None:
            pools[choice.pool_id][list_id] = choice.name
    return pools
