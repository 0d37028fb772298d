"""dispatch.relay: the ways out of accounts' own sources: to the recipients' servers, through a proxy, to a server."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

from mailmaker.common.ops.clock import Clock
from mailmaker.dispatch.domain.backoff import BackoffPlan
from mailmaker.dispatch.domain.egress import Source, host_and_port, provider_of_lane
from mailmaker.dispatch.domain.mx import Addresses, Destination, DnsSilent, Family, MxHost, NullMx, in_order
from mailmaker.dispatch.domain.shaping import Limits, Shaping, lane_of, site_of
from mailmaker.dispatch.relay.connect import BrokenTls, NotConnected, Smarthost, connect, greet
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.relay.mx import MxResolver
from mailmaker.dispatch.relay.session import Session
from mailmaker.dispatch.relay.socks5 import Proxy, ProxyRefused, open_through
from mailmaker.dispatch.relay.throttle import SERVER, SITES, Throttle
from mailmaker.dispatch.relay.way import Elsewhere, Nowhere, Target
from mailmaker.dispatch.storage.seal import Seal, Unsealable

TRIES = 5
"""Addresses of one site that are tried for one connection."""
TLS_BROKEN_FOR = 3 * 86400.0
"""How long a server whose TLS is broken is spoken to in clear, where that may be (TLS-2)."""
KEPT_DOMAINS = 5000
IP_BIND_ADDRESS_NO_PORT = 24
"""Linux (ip(7)): the port is chosen at connect, so that one address has one set of ports for each destination."""

Takes = Callable[[Mail], bool]


@dataclass(frozen=True, slots=True)
class Sources:
    """Makes ways and throttles. `port`: where recipients' servers listen. `sandbox`: what the sandbox driver speaks to."""

    clock: Clock
    mx: MxResolver
    shaping: Shaping
    seal: Seal
    sandbox: Smarthost | None
    port: int = 25

    def way(self, source: Source, lane: str, takes: Takes) -> SiteWay | ServerWay:
        """The way of one egress path."""
        if source.finds_sites:
            return SiteWay(self, source, lane, takes)
        return ServerWay(self, source, lane, takes)

    def throttle(self, source: Source, lane: str) -> Throttle:
        """The limits of one egress path."""
        return Throttle(
            self.limits(lane),
            shared=source.finds_sites and self.many_sites(lane),
            plan=BackoffPlan() if source.finds_sites else SERVER,
            react=partial(self.shaping.reactions, provider_of_lane(lane)),
            now=self.clock.boot(),
            granted=0,
        )

    def connections(self, source: Source, lane: str) -> int:
        """The connections that a path may have open, all relays together."""
        shared = source.finds_sites and self.many_sites(lane)
        return self.limits(lane).connections * (SITES if shared else 1)

    def many_sites(self, lane: str) -> bool:
        """Whether each site in the lane has limits of its own."""
        provider = provider_of_lane(lane)
        return provider is None or self.shaping.limits_of(provider).per_site

    def limits(self, lane: str) -> Limits:
        """What the rules say about a lane."""
        return self.shaping.limits_of(provider_of_lane(lane))

    def server(self, source: Source) -> Smarthost:
        """The server of a source that has one, or its proxy. Raises NotConnected where it cannot be used."""
        if source.driver == "sandbox":
            if self.sandbox is None:
                raise NotConnected("this platform has no sandbox")
            return self.sandbox
        try:
            password = None
            if source.secret is not None:
                password = self.seal.open(source.secret, source.account_id, source.id).decode()
            host, port = host_and_port(source.server or "")
        except (Unsealable, ValueError) as wrong:
            raise NotConnected(f"the source is not usable: {wrong}") from wrong
        return Smarthost(host, port, source.ehlo, source.tls, source.username, password)


class ServerWay:
    """A source that is a server: it takes mail for everybody."""

    shared = False

    def __init__(self, sources: Sources, source: Source, lane: str, takes: Takes) -> None:
        self.name = source.label
        self.takes = takes
        self._all = sources
        self._source = source
        self._site = lane

    async def target(self, mail: Mail) -> Target:
        return Target(self._site)

    async def open(self, target: Target) -> Session:
        return await connect(self._all.server(self._source), self._all.clock.boot)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the DNS said of a domain that belongs to this lane, until a boot time."""

    site: str
    hosts: tuple[MxHost, ...]
    expires: float


class SiteWay:
    """A source with an address of its own, that goes to the recipients' servers from there: directly or by a proxy."""

    def __init__(self, sources: Sources, source: Source, lane: str, takes: Takes) -> None:
        self.name = source.label
        self.shared = sources.many_sites(lane)
        self.takes = takes
        self._all = sources
        self._source = source
        self._address = str(ip_address(source.address or ""))
        self._family: Family = "ipv6" if ":" in self._address else "ipv4"
        self._lane = lane
        self._limits = sources.limits(lane)
        self._broken: dict[str, float] = {}
        self._known: dict[str, _Known] = {}

    async def target(self, mail: Mail) -> Target:
        """The servers of the mail's domain. Raises Nowhere, Elsewhere, NotConnected."""
        known = self._known.get(mail.domain)
        if known is None or known.expires <= self._all.clock.boot():
            known = await self._find(mail.domain)
        return Target(known.site, tuple(host.name for host in in_order(known.hosts, random.random)))

    async def _find(self, domain: str) -> _Known:
        route = await self._all.mx.hosts_of(domain)
        if isinstance(route, DnsSilent):
            raise NotConnected(f"the DNS does not answer: {route.why}")
        if not isinstance(route, Destination):
            raise Nowhere("null_mx" if isinstance(route, NullMx) else "no_such_domain")
        names = [host.name for host in route.hosts]
        site = site_of(names)
        lane = lane_of(self._all.shaping.provider_of(domain, names), site)
        if lane != self._lane:
            raise Elsewhere(lane)
        if len(self._known) >= KEPT_DOMAINS:
            self._known.clear()
        self._known[domain] = known = _Known(site, route.hosts, route.expires)
        return known

    async def open(self, target: Target) -> Session:
        """A connection to the first server that lets us in. Raises NotConnected with what the last one said."""
        last: NotConnected = NotConnected("no server of the site has an address that this source can reach")
        left = TRIES
        for host in target.hosts:
            reach = await self._all.mx.addresses_of(host, (self._family,))
            if not isinstance(reach, Addresses):
                last = NotConnected(f"{host}: {type(reach).__name__}")
                continue
            for ip in reach.ips[:left]:
                left -= 1
                try:
                    return await self._to(host, ip)
                except NotConnected as wrong:
                    last = wrong
            if left <= 0:
                break
        raise last

    async def _to(self, host: str, ip: str) -> Session:
        now = self._all.clock.boot()
        tls = self._limits.tls if self._source.tls == "opportunistic" else self._source.tls
        if tls == "opportunistic" and self._broken.get(host, 0.0) > now:
            tls = "off"
        timeout = self._limits.connect_timeout
        sock = await self._socket(ip, timeout)
        try:
            return await greet(sock, host, self._source.ehlo, tls, timeout, self._all.clock.boot)
        except BrokenTls:
            # The next try of this server speaks in clear, unless its provider must be spoken to in TLS.
            if tls == "opportunistic":
                self._broken = {name: until for name, until in self._broken.items() if until > now}
                self._broken[host] = now + TLS_BROKEN_FOR
            raise

    async def _socket(self, ip: str, timeout: float) -> socket.socket:
        try:
            if self._source.driver == "socks5":
                at = self._all.server(self._source)
                proxy = Proxy(at.host, at.port, at.username, at.password)
                return await open_through(proxy, self._address, ip, self._all.port, timeout)
            return await bound(self._address, ip, self._all.port, timeout)
        except ProxyRefused as wrong:
            raise NotConnected(f"proxy, {wrong.step}: {wrong}") from wrong
        except NotConnected:
            raise
        except (OSError, TimeoutError, ValueError) as wrong:
            raise NotConnected(getattr(wrong, "strerror", None) or type(wrong).__name__) from wrong


async def bound(source: str, ip: str, port: int, timeout: float) -> socket.socket:
    """A connected socket from an address of this machine. Raises OSError, TimeoutError; never connects from another."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().sock_connect(sock, (ip, port))
    except BaseException:
        sock.close()
        raise
    return sock
