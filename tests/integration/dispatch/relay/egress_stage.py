"""Accounts with pools of their own, sites on 127.0.1.x that see where mail comes from, and the DNS that names them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.storage.ids import new_id
from mailmaker.common.testing.nameserver import Nameserver
from mailmaker.dispatch.actions.find_sites import FindSites
from mailmaker.dispatch.domain.retry import RetryPlan
from mailmaker.dispatch.domain.shaping import Shaping
from mailmaker.dispatch.relay.mx import MxResolver
from mailmaker.dispatch.relay.shaped import shipped
from mailmaker.dispatch.relay.worker import Relay
from relay_stage import Stage
from scripted_server import ScriptedServer, serving


def shaped(connections: int = 3, more: str = "") -> Shaping:
    """The shipped rules with other limits where no provider is known."""
    return Shaping.parse(f"[default]\nconnections = {connections}\n{more}", over=shipped())


@dataclass
class World:
    """The rest of the Internet: one server a site, all on one port."""

    port: int
    dns: Nameserver
    sites: dict[str, ScriptedServer] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)

    def relay(self, stage: Stage, shaping: Shaping | None = None, **more: Any) -> Relay:
        """A relay without a server of the platform's."""
        more.setdefault("plan", RetryPlan(requeue=timedelta(milliseconds=50)))
        return stage.relay(
            None, nameserver=self.dns.address, smtp_port=self.port, shaping=shaping or shaped(), **more
        )

    def finder(self, stage: Stage, shaping: Shaping | None = None) -> FindSites:
        clock = SystemClock()
        mx = MxResolver(clock, self.dns.address, allow_private=True)
        return FindSites(stage.db, mx, shaping or shaped(), clock)


@contextlib.asynccontextmanager
async def a_world(sites: dict[str, list[str]], **zone: list[str]) -> AsyncIterator[World]:
    """`sites`: the MX host of each site, and the domains whose mail it takes."""
    records: dict[tuple[str, str], list[str]] = {}
    with socket.socket() as probe:
        probe.bind(("127.0.1.1", 0))
        port = probe.getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:
        servers, domains = {}, {}
        for place, (host, served) in enumerate(sites.items(), 1):
            records[host, "A"] = [f"127.0.1.{place}"]
            for domain in served:
                records[domain, "MX"] = [f"10 {host}."]
                domains[domain] = host
            servers[host] = await stack.enter_async_context(
                serving(ScriptedServer(), f"127.0.1.{place}", port)
            )
        for name, data in zone.items():
            records[name.replace("_", "."), "MX"] = data
        dns = await stack.enter_async_context(Nameserver(records))
        yield World(port, dns, servers, domains)


@contextlib.asynccontextmanager
async def finding(finder: FindSites) -> AsyncIterator[None]:
    """The worker that finds sites, at work."""
    stop = asyncio.Event()
    task = asyncio.create_task(finder.run(stop))
    yield
    stop.set()
    await asyncio.wait_for(task, 30)


async def a_pool(stage: Stage, name: str, *, default: bool = False) -> UUID:
    pool = new_id()
    await stage.run(
        "INSERT INTO pools VALUES ($1, $2, $3, $4, $5)", stage.account, pool, name, default, datetime.now(UTC)
    )
    return pool


async def a_source(stage: Stage, pool: UUID, address: str | None, **about: Any) -> UUID:
    source = new_id()
    plain: dict[str, Any] = {"driver": "direct", "server": None, "state": "active", "warming": False}
    plain |= about
    await stage.run(
        "INSERT INTO sources (account_id, id, pool_id, name, driver, address, ehlo, server, tls, state, warming,"
        " created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6::text::inet, 'out.demo.test', $7, 'opportunistic', $8, $9, now())",
        stage.account,
        source,
        pool,
        f"source {address or source}",
        plain["driver"],
        address,
        plain["server"],
        plain["state"],
        plain["warming"],
    )
    return source


async def a_route(stage: Stage, position: int, pool: UUID, **when: Any) -> str:
    name = f"rule {position}"
    await stage.run(
        "INSERT INTO routes VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now())",
        stage.account,
        new_id(),
        position,
        name,
        pool,
        when.get("sender_id"),
        when.get("sender_domain"),
        when.get("list_id"),
        when.get("tag"),
        when.get("mail_class"),
        when.get("provider"),
    )
    return name
