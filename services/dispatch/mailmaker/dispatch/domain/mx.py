"""dispatch.domain: where mail for a domain goes, and which addresses may be spoken to (BNC-12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import ClassVar, Literal, TypeVar

Family = Literal["ipv4", "ipv6"]
T = TypeVar("T")

MOST = 32
"""MX hosts of a domain, and addresses of a host, that are looked at: who publishes more does not mean it."""
SHORTEST, LONGEST = 60.0, 86_400.0
"""Seconds that an answer is kept at least, whatever its TTL, and at most."""
NEGATIVE = 300.0
"""Seconds that "there is none" is believed at most; less where the zone's SOA says so (RFC 2308 section 5)."""


@dataclass(frozen=True, slots=True)
class MxHost:
    """A host that takes a domain's mail, lower case and without a final dot; the lowest preference is asked first."""

    name: str
    preference: int


@dataclass(frozen=True, slots=True)
class Destination:
    """The hosts, by preference and name, at least one and at most `MOST`. `in_order` says whom to ask first.

    `implicit`: no MX, so the domain itself is the host (RFC 5321 section 5.1). `expires` is a boot time.
    """

    hosts: tuple[MxHost, ...]
    implicit: bool
    expires: float


@dataclass(frozen=True, slots=True)
class NullMx:
    """The domain says that it takes no mail (RFC 7505): permanent."""

    enhanced: ClassVar[str] = "5.1.10"


@dataclass(frozen=True, slots=True)
class NoSuchDomain:
    """The name does not exist, or has neither MX nor A nor AAAA: permanent. `why` tells which."""

    why: str
    enhanced: ClassVar[str] = "5.1.2"


@dataclass(frozen=True, slots=True)
class DnsSilent:
    """The DNS did not say: try later (RFC 5321 section 5.1). `why`: timeout, SERVFAIL, REFUSED..."""

    why: str
    enhanced: ClassVar[str] = "4.4.3"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a host can be reached, in the order to try; at least one. `expires` is a boot time."""

    ips: tuple[str, ...]
    expires: float


@dataclass(frozen=True, slots=True)
class OnlyPrivate:
    """Every address of the host is one that no mail server of the Internet has: never connected to."""

    ips: tuple[str, ...]
    enhanced: ClassVar[str] = "5.4.4"


@dataclass(frozen=True, slots=True)
class OtherFamily:
    """The host is there, but not for the families asked: another source may reach it, this one cannot."""

    family: Family
    enhanced: ClassVar[str] = "4.4.4"


@dataclass(frozen=True, slots=True)
class NoAddress:
    """The host has no address at all."""

    enhanced: ClassVar[str] = "5.4.4"


Route = Destination | NullMx | NoSuchDomain | DnsSilent
Reach = Addresses | OnlyPrivate | OtherFamily | NoAddress | DnsSilent

# What IANA's special-purpose registries hold back from the Internet (RFC 6890 and those after it). A list of our own:
# what the standard library calls global has changed between patch releases of one Python.
_NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
# All of IPv6 that is unicast and global today (RFC 4291 section 2.4, RFC 3587). Outside lie loopback, unique local,
# link-local, multicast, v4-mapped, and NAT64, by which mail would leave from an IP that is not its account's.
_GLOBAL_V6 = IPv6Network("2000::/3")
# Protocol assignments and Teredo, documentation twice, and 6to4, which hides any IPv4 address.
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


def is_public(ip: str) -> bool:
    """Whether a mail server of the Internet can have this address. What is no address is not public."""
    try:
        address = ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    if address.scope_id is not None or address not in _GLOBAL_V6:
        return False
    return not any(address in network for network in _NOT_PUBLIC_V6)


def mail_hosts(records: Iterable[tuple[int, str]]) -> tuple[MxHost, ...]:
    """The hosts of a domain's MX records (preference, exchange), by preference and name, each host once.

    None where no record names a host: the null MX (RFC 7505 section 3). A "." beside others is a mistake of theirs,
    and is left out.
    """
    best: dict[str, int] = {}
    for preference, exchange in records:
        name = exchange.lower().removesuffix(".")
        if name:
            best[name] = min(preference, best.get(name, preference))
    hosts = [MxHost(name, preference) for name, preference in best.items()]
    return tuple(sorted(hosts, key=lambda host: (host.preference, host.name))[:MOST])


def in_order(hosts: Iterable[MxHost], chance: Callable[[], float]) -> list[MxHost]:
    """Whom to ask first: by preference, and at random within one (RFC 5321 section 5.1). `chance` gives [0, 1)."""
    return sorted(hosts, key=lambda host: (host.preference, chance()))


def shuffled(things: Iterable[T], chance: Callable[[], float]) -> list[T]:
    """All of them, in an order that `chance`, which gives [0, 1), decides."""
    return sorted(things, key=lambda _: chance())


def kept_for(ttl: int, *, found: bool) -> float:
    """Seconds for which an answer of this TTL is believed. A TTL of 0 would ask for each message."""
    return min(max(float(ttl), SHORTEST), LONGEST if found else NEGATIVE)
