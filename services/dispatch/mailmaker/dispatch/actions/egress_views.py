"""dispatch.actions: pools, sources and rules as clients and operators see them. No secret is in them."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from mailmaker.dispatch.domain.egress import Pool, Route, Source
from pydantic import BaseModel, ConfigDict, Field


class PoolView(BaseModel):
    """Sources that share their mail. `default`: what no rule speaks of leaves from it."""

    id: UUID
    account: UUID
    name: str
    default: bool
    sources: list[UUID]


class SourceView(BaseModel):
    """One way out. `address`: the IP that receivers see; null where `server` is the way."""

    id: UUID
    account: UUID
    pool: UUID
    name: str
    driver: Literal["direct", "socks5", "smarthost", "sandbox"]
    address: str | None
    ehlo: str
    server: str | None
    username: str | None
    tls: Literal["opportunistic", "required", "off"]
    state: Literal["active", "paused"]
    warm_up: bool


class WarmUpView(BaseModel):
    """How far a source is at a provider. Budgets are of this UTC day and hour; null: it is warm, and none holds it."""

    provider: str
    day: int
    budget_day: int | None
    budget_hour: int | None
    used_day: int
    used_hour: int
    why: str


class RouteWhen(BaseModel):
    """What must hold, all of it. What is null is not asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    sender: UUID | None = None
    sender_domain: str | None = Field(None, min_length=3, max_length=253)
    list: UUID | None = None
    tag: str | None = Field(None, min_length=1, max_length=100)
    mail_class: Literal["marketing", "transactional"] | None = Field(None, alias="class")
    provider: str | None = Field(None, min_length=1, max_length=100)


class RouteView(BaseModel):
    """A rule: the first that holds, by `position`, chooses the pool."""

    id: UUID
    account: UUID
    position: int
    name: str
    when: RouteWhen
    pool: UUID


class ExplainedSource(BaseModel):
    """A source of the chosen pool, and what keeps mail from leaving by it."""

    id: UUID
    name: str
    address: str | None
    state: Literal["active", "paused"]


class ExplanationView(BaseModel):
    """Which way a message would take now. `route` null: no rule holds; `pool` null: nothing leads it anywhere, it waits."""

    provider: str | None
    site: str | None
    route: RouteView | None
    pool: PoolView | None
    sources: list[ExplainedSource]
    why: str


def pool_view(pool: Pool, sources: tuple[Source, ...]) -> PoolView:
    """A pool with its sources."""
    mine = [source.id for source in sources if source.pool_id == pool.id]
    return PoolView(
        id=pool.id, account=pool.account_id, name=pool.name, default=pool.is_default, sources=mine
    )


def source_view(source: Source) -> SourceView:
    """A source."""
    return SourceView(
        id=source.id,
        account=source.account_id,
        pool=source.pool_id,
        name=source.name,
        driver=source.driver,
        address=source.address,
        ehlo=source.ehlo,
        server=source.server,
        username=source.username,
        tls=source.tls,
        state=source.state,
        warm_up=source.warming,
    )


def route_view(account_id: UUID, route: Route) -> RouteView:
    """A rule."""
    when = RouteWhen.model_validate(
        {
            "sender": route.sender_id,
            "sender_domain": route.sender_domain,
            "list": route.list_id,
            "tag": route.tag,
            "class": route.mail_class,
            "provider": route.provider,
        }
    )
    return RouteView(
        id=route.id,
        account=account_id,
        position=route.position,
        name=route.name,
        when=when,
        pool=route.pool_id,
    )
