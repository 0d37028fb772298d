"""dispatch.actions: an account's ways out, and which of them a message would take, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.dispatch.actions.egress_views import (
    ExplainedSource,
    ExplanationView,
    PoolView,
    RouteView,
    SourceView,
    pool_view,
    route_view,
    source_view,
)
from mailmaker.dispatch.actions.find_sites import Resolver
from mailmaker.dispatch.domain.egress import Choice, Egress, Facts
from mailmaker.dispatch.domain.mx import Destination
from mailmaker.dispatch.domain.shaping import Shaping, site_of
from mailmaker.dispatch.storage import domains, egress


@dataclass(frozen=True, slots=True)
class Question:
    """A message as far as rules may ask about it. `domain`: the recipient's, looked up; or `provider` says it."""

    sender: UUID
    list_id: UUID
    tag: str | None
    mail_class: Literal["marketing", "transactional"]
    provider: str | None
    domain: str | None


async def explain(
    db: Database, mx: Resolver, shaping: Shaping, account_id: UUID, question: Question
) -> ExplanationView:
    """Which way such a message would take now. Raises Invalid for a sender that is not the account's."""
    provider, site = question.provider, None
    if question.domain is not None:
        route = await mx.hosts_of(question.domain)
        if isinstance(route, Destination):
            names = [host.name for host in route.hosts]
            provider, site = shaping.provider_of(question.domain, names), site_of(names)
    async with db.account(account_id) as tx:
        sender = await domains.one_sender(tx, account_id, question.sender)
        ways = await egress.of_account(tx, account_id)
    if sender is None:
        raise Invalid(
            "the sender is not known",
            faults=[Fault("/sender", "sender.unknown", "this account has no such sender")],
        )
    facts = Facts(
        sender_id=sender.id,
        sender_domain=sender.email.rpartition("@")[2],
        list_id=question.list_id,
        tag=question.tag,
        mail_class=question.mail_class,
        provider=provider,
    )
    return _explained(ways, ways.choose(facts), provider, site)


async def seen(db: Database, account_id: UUID) -> Egress:
    """An account's pools, sources and rules."""
    async with db.account(account_id) as tx:
        return await egress.of_account(tx, account_id)


async def pools_of(db: Database, account_id: UUID) -> list[PoolView]:
    """Its pools."""
    ways = await seen(db, account_id)
    return [pool_view(pool, tuple(ways.sources)) for pool in ways.pools.values()]


async def sources_of(db: Database, account_id: UUID) -> list[SourceView]:
    """Its sources."""
    return [source_view(source) for source in (await seen(db, account_id)).sources]


async def routes_of(db: Database, account_id: UUID) -> list[RouteView]:
    """Its rules, in the order in which they are asked."""
    ways = await seen(db, account_id)
    ordered = sorted(ways.routes, key=lambda route: (route.position, route.id))
    return [route_view(account_id, route) for route in ordered]


def _explained(
    ways: Egress, choice: Choice | None, provider: str | None, site: str | None
) -> ExplanationView:
    pool = None if choice is None else ways.pools[choice.pool_id]
    of_pool = [source for source in ways.sources if pool is not None and source.pool_id == pool.id]
    return ExplanationView(
        provider=provider,
        site=site,
        route=None if choice is None or choice.route is None else route_view(ways.account_id, choice.route),
        pool=None if pool is None else pool_view(pool, tuple(ways.sources)),
        sources=[ExplainedSource(id=s.id, name=s.name, address=s.address, state=s.state) for s in of_pool],
        why=_why(ways, choice),
    )


def _why(ways: Egress, choice: Choice | None) -> str:
    if not ways.pools:
        return "the account has no pools: the platform's own server takes its mail, if there is one"
    if choice is None:
        return "no rule holds and there is no default pool: the message waits"
    name = ways.pools[choice.pool_id].name
    by = (
        "no rule holds: the default pool" if choice.route is None else f"the rule {choice.route.name!r} holds"
    )
    if not ways.out_of(choice.pool_id):
        return f"{by}; but no source of {name!r} is active: the message waits"
    return f"{by}; it leaves from a source of {name!r}"
