"""dispatch.relay: asks the DNS where mail for a domain goes, remembers for as long as it may, and never guesses."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import dns.inet
import dns.message
import dns.name
import dns.nameserver
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from mailmaker.common.ops.clock import Clock
from mailmaker.dispatch.domain.mx import (
    MOST,
    NEGATIVE,
    Addresses,
    Destination,
    DnsSilent,
    Family,
    MxHost,
    NoAddress,
    NoSuchDomain,
    NullMx,
    OnlyPrivate,
    OtherFamily,
    Reach,
    Route,
    is_public,
    kept_for,
    mail_hosts,
    shuffled,
)

PATIENCE = 5.0
"""Seconds a question may take, and may wait before that for its turn."""
STALE = 3600.0
"""How long after its time an answer still serves while the DNS is silent (RFC 8767)."""
RECHECK = 30.0
"""A silent DNS is asked again after this: not by each message (RFC 9520 section 3.2, RFC 8767 section 5)."""
EDNS_PAYLOAD = 1232

_Kind = Literal["MX", "A", "AAAA"]
_TYPE_OF: dict[Family, _Kind] = {"ipv4": "A", "ipv6": "AAAA"}
_Key = tuple[str, _Kind]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the DNS said to one question, until when it holds, and until when it serves in need."""

    said: Literal["found", "no_data", "no_name", "silent"]
    until: float
    hosts: tuple[MxHost, ...] = ()
    ips: tuple[str, ...] = ()
    why: str = ""
    stale_until: float = 0.0
    stale: bool = False


def resolver_for(nameserver: str | None) -> dns.asyncresolver.Resolver:
    """A resolver that asks `nameserver` (an IP and perhaps a port: "127.0.0.1:5353", "[::1]:53"), or, without one,
    those of the machine, whose /etc/resolv.conf it reads now.

    It keeps no cache of its own, and goes over to TCP when an answer is cut short. Raises ValueError for a setting
    that is no address, dns.resolver.NoResolverConfiguration where the machine names no server.
    """
    if nameserver:
        parts = urlsplit(f"//{nameserver}")
        if parts.hostname is None or not dns.inet.is_address(parts.hostname):
            raise ValueError(f"a nameserver is an IP and a port, not {nameserver!r}")
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [dns.nameserver.Do53Nameserver(parts.hostname, parts.port or 53)]
    else:
        resolver = dns.asyncresolver.Resolver()
    resolver.use_edns(0, 0, EDNS_PAYLOAD)
    return resolver


class MxResolver:
    """MX, A and AAAA, each asked once at a time and kept in a bounded cache. One event loop; nothing is read or
    asked before the first question.

    `entries` answers are kept, the least used go first; `at_once` questions are open at a time. A domain's answer
    takes about four times `patience` seconds at most: two questions in turn, each after waiting for a free place.
    """

    def __init__(
        self,
        clock: Clock,
        nameserver: str | None = None,
        *,
        allow_private: bool = False,
        chance: Callable[[], float] = random.random,
        entries: int = 20_000,
        at_once: int = 64,
        patience: float = PATIENCE,
    ) -> None:
        self._clock = clock
        # A setting that is wrong is told at the start; the machine's own file is read when it is needed.
        self._resolver = resolver_for(nameserver) if nameserver else None
        self._allow_private = allow_private
        self._chance = chance
        self._entries = entries
        self._slots = asyncio.Semaphore(at_once)
        self._patience = patience
        self._cache: OrderedDict[_Key, _Known] = OrderedDict()
        self._asking: dict[_Key, asyncio.Task[_Known]] = {}

    async def open(self) -> None:
        """Nothing is opened before the first question."""

    async def close(self) -> None:
        """Ends the questions still open."""
        for task in (asking := list(self._asking.values())):
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def hosts_of(self, domain: str) -> Route:
        """Who takes mail for a domain, given as lower-case A-labels (RFC 5321 section 5.1, RFC 7505).

        Only a fresh answer is a permanent no: a stale one that would bounce mail is `DnsSilent` instead.
        """
        mx = await self._ask(domain, "MX")
        if mx.said == "silent" or (mx.stale and not mx.hosts):
            return DnsSilent(mx.why)
        if mx.said == "no_name":
            return NoSuchDomain("the domain does not exist")
        if mx.said == "found":
            return Destination(mx.hosts, False, mx.until) if mx.hosts else NullMx()
        both = await asyncio.gather(self._ask(domain, "A"), self._ask(domain, "AAAA"))
        if found := [known for known in both if known.ips]:
            until = min(mx.until, *(known.until for known in found))
            return Destination((MxHost(domain, 0),), True, until)
        if silent := _silent(both):
            return silent
        return NoSuchDomain("the domain has no MX, A or AAAA record")

    async def addresses_of(self, host: str, families: Collection[Family]) -> Reach:
        """The addresses of one MX host that a source of these families may connect to, in random order."""
        asked = await asyncio.gather(*(self._ask(host, _TYPE_OF[family]) for family in families))
        if allowed := self._allowed(asked):
            until = min(known.until for known in asked if known.ips)
            return Addresses(tuple(shuffled(allowed, self._chance)), until)
        if silent := _silent(asked):
            return silent
        known = list(asked)
        if not any(one.said == "no_name" for one in asked):
            # The name is there: whether another source could reach it decides between later and never.
            for family in (family for family in _TYPE_OF if family not in families):
                known.append(await self._ask(host, _TYPE_OF[family]))
                if self._allowed(known):
                    return OtherFamily(family)
        if silent := _silent(known):
            return silent
        ips = tuple(ip for one in known for ip in one.ips)
        return OnlyPrivate(ips) if ips else NoAddress()

    def _allowed(self, known: Collection[_Known]) -> list[str]:
        return [ip for one in known for ip in one.ips if self._allow_private or is_public(ip)]

    async def _ask(self, name: str, kind: _Kind) -> _Known:
        key = name.lower().removesuffix("."), kind
        known = self._cache.get(key)
        if known is not None and self._clock.boot() < known.until:
            self._cache.move_to_end(key)
            return known
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._question(key))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        # Shielded: who gives up waiting does not take the answer from the others.
        return await asyncio.shield(asking)

    async def _question(self, key: _Key) -> _Known:
        try:
            async with asyncio.timeout(self._patience):
                await self._slots.acquire()
        except TimeoutError:
            # That we are busy says nothing about the name: not kept.
            return self._unanswered(key, "too many questions at once")
        try:
            known = await self._answer(*key)
        except (dns.exception.DNSException, OSError, TimeoutError) as wrong:
            known = self._unanswered(key, _why(wrong))
        finally:
            self._slots.release()
        self._cache[key] = known
        self._cache.move_to_end(key)
        while len(self._cache) > self._entries:
            self._cache.popitem(last=False)
        return known

    async def _answer(self, name: str, kind: _Kind) -> _Known:
        try:
            asked = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError):
            # A label too long, or an empty one: no zone can hold such a name.
            return _Known("no_name", self._clock.boot() + NEGATIVE)
        if self._resolver is None:
            self._resolver = resolver_for(None)
        try:
            # dnspython has its own limit, by the wall clock; ours stands behind it.
            async with asyncio.timeout(self._patience + 1):
                answer = await self._resolver.resolve(
                    asked, kind, lifetime=self._patience, raise_on_no_answer=False
                )
        except dns.resolver.NXDOMAIN as none:
            response: dns.message.QueryMessage = none.kwargs["responses"][asked]
            ttl = response.resolve_chaining().minimum_ttl
            return _Known("no_name", self._clock.boot() + kept_for(ttl, found=False))
        ttl, now = answer.chaining_result.minimum_ttl, self._clock.boot()
        if answer.rrset is None:
            return _Known("no_data", now + kept_for(ttl, found=False))
        until = now + kept_for(ttl, found=True)
        hosts = mail_hosts((r.preference, r.exchange.to_text()) for r in answer if isinstance(r, MX))
        ips = tuple(sorted({r.address for r in answer if isinstance(r, A | AAAA)})[:MOST])
        return _Known("found", until, hosts, ips, stale_until=until + STALE)

    def _unanswered(self, key: _Key, why: str) -> _Known:
        """The last good answer, while it may still serve; else that there is none. Both hold for a moment only."""
        now, old = self._clock.boot(), self._cache.get(key)
        if old is not None and now < old.stale_until:
            return replace(old, until=min(now + RECHECK, old.stale_until), why=why, stale=True)
        return _Known("silent", now + RECHECK, why=why)


def _silent(known: Collection[_Known]) -> DnsSilent | None:
    """Whether a no must not be said: what is stale may send mail, but not bounce it."""
    return next((DnsSilent(one.why) for one in known if one.said == "silent" or one.stale), None)


def _why(wrong: Exception) -> str:
    """The answer's code where there was an answer, else what kept it away."""
    if isinstance(wrong, dns.exception.Timeout | TimeoutError):
        return "timeout"
    if isinstance(wrong, dns.resolver.NoNameservers) and (errors := wrong.kwargs.get("errors")):
        last = errors[-1][3]
        return last if isinstance(last, str) else type(last).__name__
    return type(wrong).__name__
