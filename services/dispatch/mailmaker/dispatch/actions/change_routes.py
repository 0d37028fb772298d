"""dispatch.actions: the rules that choose among an account's pools."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.dispatch.actions.egress_views import RouteView, RouteWhen, route_view
from mailmaker.dispatch.domain.egress import Route
from mailmaker.dispatch.domain.shaping import Shaping
from mailmaker.dispatch.errors import Exists, UnknownRoute
from mailmaker.dispatch.storage import egress

STEP = 10
"""Rules are numbered in steps, so that one can be put between two."""


@dataclass(frozen=True, slots=True)
class RouteWish:
    """A rule as it is asked for. `position` None: after the others."""

    name: str
    when: RouteWhen
    pool: UUID
    position: int | None


async def add_route(db: Database, shaping: Shaping, call: Call, wish: RouteWish, now: datetime) -> RouteView:
    """Adds a rule. Raises Invalid for a pool or a provider that is not known, Exists for a name that is taken."""
    async with db.write(call, "route.added") as tx:
        if (first := tx.replayed(RouteView)) is not None:
            return first
        await egress.lock(tx, call.account_id)
        ways = await egress.of_account(tx, call.account_id)
        faults = []
        if wish.pool not in ways.pools:
            faults.append(Fault("/pool", "pool.unknown", "this account has no such pool"))
        provider = wish.when.provider
        if provider is not None and provider not in shaping.providers:
            known = ", ".join(sorted(shaping.providers))
            faults.append(Fault("/when/provider", "provider.unknown", f"one of: {known}"))
        if faults:
            raise Invalid("the rule is not usable", faults=faults)
        last = await egress.last_position(tx, call.account_id)
        route = _route(wish, last + STEP if wish.position is None else wish.position)
        tx.subject(route.id)
        if not await egress.add_route(tx, call.account_id, route, now):
            raise Exists(
                "this account has a rule of that name",
                faults=[Fault("/name", "exists", "choose another name")],
            )
        return await tx.keep(route_view(call.account_id, route))


async def drop_route(db: Database, call: Call, route_id: UUID) -> None:
    """Removes a rule: what has not been claimed yet goes by the rules that are left."""
    async with db.write(call, "route.removed") as tx:
        tx.subject(route_id)
        await egress.lock(tx, call.account_id)
        if not await egress.drop_route(tx, call.account_id, route_id):
            raise UnknownRoute("there is no such rule")


def _route(wish: RouteWish, position: int) -> Route:
    when = wish.when
    return Route(
        id=new_id(),
        position=position,
        name=wish.name,
        pool_id=wish.pool,
        sender_id=when.sender,
        sender_domain=None if when.sender_domain is None else when.sender_domain.lower().rstrip("."),
        list_id=when.list,
        tag=when.tag,
        mail_class=when.mail_class,
        provider=when.provider,
    )
