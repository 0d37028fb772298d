"""dispatch.api: doors of pools, sources and routes: the operator assigns IPs to an account, its rules choose among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from mailmaker.common.storage.keyset import Page
from mailmaker.common.web.auth import may_operate, may_or_operate
from mailmaker.common.web.call import Call
from mailmaker.common.web.keyring import KeyRing
from mailmaker.common.web.problem import Fault, Invalid
from mailmaker.dispatch.actions import change_pools, change_routes, explain_route, warm_up
from mailmaker.dispatch.actions.egress_views import (
    ExplanationView,
    PoolView,
    RouteView,
    RouteWhen,
    SourceView,
    WarmUpView,
)
from mailmaker.dispatch.api.desk import Here
from mailmaker.dispatch.api.schemas import Name, _In
from mailmaker.dispatch.errors import UnknownAccount
from pydantic import Field

router = APIRouter(tags=["egress"])

MayOperate = Annotated[Call, may_operate()]
MayRead = Annotated[Call, may_or_operate("domains:read")]
MayWrite = Annotated[Call, may_or_operate("domains:write")]
Account = Annotated[UUID | None, Query(description="For the operator: whose.")]
Whose = Annotated[UUID, Query(description="The account.")]


class PoolIn(_In):
    """A pool of an account. Its first pool is the default: what no rule speaks of leaves from it."""

    account: UUID
    name: Name
    default: bool = False


class PoolPatch(_In):
    """What is to be another."""

    name: Name | None = None
    default: bool | None = None


class SourceIn(_In):
    """One way out. `direct` and `socks5` send to the recipients' servers from `address`; `smarthost` gives everything to
    `server`; `sandbox` to the platform's sandbox. `server` of `socks5` is the egress proxy."""

    account: UUID
    pool: UUID
    name: Name
    driver: Literal["direct", "socks5", "smarthost", "sandbox"]
    address: str | None = Field(None, max_length=45)
    ehlo: str = Field(min_length=3, max_length=253, description="The host name said in EHLO.")
    server: str | None = Field(
        None, min_length=3, max_length=260, pattern=r"^(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):\d{1,5}$"
    )
    username: str | None = Field(None, min_length=1, max_length=255)
    password: str | None = Field(None, min_length=1, max_length=255, repr=False)
    tls: Literal["opportunistic", "required", "off"] = "opportunistic"
    warm_up: bool = Field(
        False,
        description="Whether a new address is held to daily and hourly budgets at each provider, that grow.",
    )

    def wish(self) -> change_pools.SourceWish:
        return change_pools.SourceWish(**self.model_dump(exclude={"account"}))


class SourcePatch(_In):
    """What is to be another. `paused`: nothing more begins there."""

    pool: UUID | None = None
    name: Name | None = None
    ehlo: str | None = Field(None, min_length=3, max_length=253)
    state: Literal["active", "paused"] | None = None
    warm_up: bool | None = None


class RouteIn(_In):
    """A rule. `position`: rules are asked from the lowest; without one it is asked last."""

    account: UUID | None = Field(None, description="For the operator: whose.")
    name: Name
    when: RouteWhen = RouteWhen()
    pool: UUID
    position: int | None = Field(None, ge=0, le=1_000_000)


class ExplainIn(_In):
    """A message as far as rules may ask. `recipient`: an address or its domain, looked up in the DNS; or say `provider`."""

    account: UUID | None = Field(None, description="For the operator: whose.")
    sender: UUID
    list: UUID
    tag: str | None = Field(None, min_length=1, max_length=100)
    mail_class: Literal["marketing", "transactional"] = Field("marketing", alias="class")
    provider: str | None = Field(None, min_length=1, max_length=100)
    recipient: str | None = Field(None, min_length=3, max_length=320)


@router.post("/v1/pools", status_code=201)
async def post_pool(request: Request, desk: Here, call: MayOperate, body: PoolIn) -> PoolView:
    """Makes a pool for an account. From its first pool on, nothing of the account leaves by the platform's own server."""
    whose = await _whose(request, call, body.account)
    return await change_pools.add_pool(desk.db, whose, body.name, default=body.default, now=desk.now())


@router.get("/v1/pools")
async def get_pools(request: Request, desk: Here, call: MayRead, account: Account = None) -> Page[PoolView]:
    """The pools of an account."""
    whose = await _whose(request, call, account)
    return Page(items=await explain_route.pools_of(desk.db, whose.account_id), next=None)


@router.patch("/v1/pools/{pool_id}")
async def patch_pool(
    request: Request, desk: Here, call: MayOperate, pool_id: UUID, account: Whose, body: PoolPatch
) -> PoolView:
    """Renames a pool, or makes it the default. Without a default pool, mail that no rule speaks of waits."""
    whose = await _whose(request, call, account)
    return await change_pools.change_pool(desk.db, whose, pool_id, body.name, body.default)


@router.delete("/v1/pools/{pool_id}", status_code=204)
async def delete_pool(request: Request, desk: Here, call: MayOperate, pool_id: UUID, account: Whose) -> None:
    """Removes a pool that has no source and no rule."""
    await change_pools.drop_pool(desk.db, await _whose(request, call, account), pool_id)


@router.post("/v1/sources", status_code=201)
async def post_source(request: Request, desk: Here, call: MayOperate, body: SourceIn) -> SourceView:
    """Gives an account a source. An address is one account's: a second source with it is refused, whoever asks."""
    whose = await _whose(request, call, body.account)
    return await change_pools.add_source(desk.db, desk.seal, whose, body.wish(), desk.now())


@router.get("/v1/sources")
async def get_sources(
    request: Request, desk: Here, call: MayRead, account: Account = None
) -> Page[SourceView]:
    """The sources of an account, without their passwords."""
    whose = await _whose(request, call, account)
    return Page(items=await explain_route.sources_of(desk.db, whose.account_id), next=None)


@router.patch("/v1/sources/{source_id}")
async def patch_source(
    request: Request, desk: Here, call: MayOperate, source_id: UUID, account: Whose, body: SourcePatch
) -> SourceView:
    """Moves a source to another pool of the account, renames it, pauses it, activates it."""
    whose = await _whose(request, call, account)
    change = change_pools.SourceChange(body.pool, body.name, body.ehlo, body.state, body.warm_up)
    return await change_pools.change_source(desk.db, whose, source_id, change)


@router.delete("/v1/sources/{source_id}", status_code=204)
async def delete_source(
    request: Request, desk: Here, call: MayOperate, source_id: UUID, account: Whose
) -> None:
    """Takes a source away. What it has begun ends; its address is free for another account."""
    await change_pools.drop_source(desk.db, await _whose(request, call, account), source_id)


@router.get("/v1/sources/{source_id}/warm-up")
async def get_warm_up(
    request: Request, desk: Here, call: MayRead, source_id: UUID, account: Account = None
) -> Page[WarmUpView]:
    """How far a source is at each provider it has sent to, and why."""
    whose = await _whose(request, call, account)
    return Page(items=await warm_up.warm_ups(desk.db, whose.account_id, source_id, desk.now()), next=None)


@router.post("/v1/routes", status_code=201)
async def post_route(request: Request, desk: Here, call: MayWrite, body: RouteIn) -> RouteView:
    """Adds a rule. The first rule that holds chooses the pool; what no rule speaks of leaves from the default pool."""
    whose = await _whose(request, call, body.account)
    wish = change_routes.RouteWish(body.name, body.when, body.pool, body.position)
    return await change_routes.add_route(desk.db, desk.shaping, whose, wish, desk.now())


@router.get("/v1/routes")
async def get_routes(request: Request, desk: Here, call: MayRead, account: Account = None) -> Page[RouteView]:
    """The rules of an account, in the order in which they are asked."""
    whose = await _whose(request, call, account)
    return Page(items=await explain_route.routes_of(desk.db, whose.account_id), next=None)


@router.delete("/v1/routes/{route_id}", status_code=204)
async def delete_route(
    request: Request, desk: Here, call: MayWrite, route_id: UUID, account: Account = None
) -> None:
    """Removes a rule."""
    await change_routes.drop_route(desk.db, await _whose(request, call, account), route_id)


@router.post("/v1/routes:explain")
async def explain(request: Request, desk: Here, call: MayRead, body: ExplainIn) -> ExplanationView:
    """Which way such a message would take now, and by which rule. Nothing is changed."""
    whose = await _whose(request, call, body.account)
    domain = None if body.recipient is None else body.recipient.rpartition("@")[2].lower()
    question = explain_route.Question(
        body.sender, body.list, body.tag, body.mail_class, body.provider, domain
    )
    return await explain_route.explain(desk.db, desk.mx, desk.shaping, whose.account_id, question)


async def _whose(request: Request, call: Call, account: UUID | None) -> Call:
    """The call, in the name of the account it is about: the operator names one, a client has its own."""
    if not call.operator:
        if account is not None and account != call.account_id:
            raise UnknownAccount("there is no such account")
        return call
    if account is None:
        raise Invalid(
            "the operator says whose", faults=[Fault("/account", "account.missing", "name the account")]
        )
    keyring: KeyRing = request.app.state.keyring
    row = await keyring.account(account)
    if row is None:
        raise UnknownAccount("there is no such account")
    return replace(call, account_id=account, account_number=row.number)
