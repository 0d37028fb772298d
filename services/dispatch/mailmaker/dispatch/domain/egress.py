"""dispatch.domain: which pool of an account's own sources a message leaves from, and by which rule (SHP-1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Driver = Literal["direct", "socks5", "smarthost", "sandbox"]
TlsPolicy = Literal["opportunistic", "required", "off"]
SourceState = Literal["active", "paused"]
ANY_LANE = "*"
"""The lane of a source whose server takes mail for everybody, where nothing asks for the recipient's provider."""
DEFAULT = "default pool"
"""What a decision calls the way of messages that no rule speaks of."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Sources that share their mail. It belongs to one account."""

    account_id: UUID
    id: UUID
    name: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class Source:
    """One way out: an address with the name it says in EHLO, or a server that takes everything. `server`: the proxy of
    `socks5`, the host of `smarthost`; host:port."""

    account_id: UUID
    id: UUID
    pool_id: UUID
    name: str
    driver: Driver
    address: str | None
    ehlo: str
    server: str | None
    username: str | None
    secret: bytes | None
    tls: TlsPolicy
    state: SourceState
    warming: bool = False
    """Whether its mail to each provider is held to the budgets of a warm-up (SHP-8)."""

    @property
    def finds_sites(self) -> bool:
        """Whether it goes to the recipient's own servers."""
        return self.driver in ("direct", "socks5")

    @property
    def label(self) -> str:
        """How a decision names it."""
        return self.name if self.address is None else f"{self.name} ({self.address})"


@dataclass(frozen=True, slots=True)
class Route:
    """A rule. What it does not name, it does not ask; all that it names must hold."""

    id: UUID
    position: int
    name: str
    pool_id: UUID
    sender_id: UUID | None = None
    sender_domain: str | None = None
    list_id: UUID | None = None
    tag: str | None = None
    mail_class: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules may ask about a message."""

    sender_id: UUID
    sender_domain: str
    list_id: UUID
    tag: str | None
    mail_class: str
    provider: str | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The pool, and the rule that chose it; None: it is the account's default pool."""

    pool_id: UUID
    route: Route | None

    @property
    def name(self) -> str:
        return DEFAULT if self.route is None else self.route.name


@dataclass(frozen=True, slots=True)
class Egress:
    """An account's pools, sources and rules."""

    account_id: UUID
    pools: Mapping[UUID, Pool]
    sources: Sequence[Source]
    routes: Sequence[Route]

    @property
    def by_lane(self) -> bool:
        """Whether mail is claimed lane by lane: a source goes to the recipients' own servers, or a rule asks whose they
        are."""
        return any(source.finds_sites for source in self.sources) or any(
            route.provider is not None for route in self.routes
        )

    def choose(self, facts: Facts) -> Choice | None:
        """The first rule that holds, by position and then by age; else the default pool. None: nowhere, it waits."""
        for route in sorted(self.routes, key=lambda route: (route.position, route.id)):
            if holds(route, facts):
                return Choice(route.pool_id, route)
        default = next((pool.id for pool in self.pools.values() if pool.is_default), None)
        return None if default is None else Choice(default, None)

    def out_of(self, pool_id: UUID) -> list[Source]:
        """The sources that a pool's mail may leave from now."""
        return [source for source in self.sources if source.pool_id == pool_id and source.state == "active"]


def holds(route: Route, facts: Facts) -> bool:
    """Whether all that the rule names is so."""
    return (
        route.sender_id in (None, facts.sender_id)
        and route.sender_domain in (None, facts.sender_domain)
        and route.list_id in (None, facts.list_id)
        and route.tag in (None, facts.tag)
        and route.mail_class in (None, facts.mail_class)
        and route.provider in (None, facts.provider)
    )


OTHERS = "others"
"""What a warm-up calls all the sites that are no known provider's."""


def provider_of_lane(lane: str) -> str | None:
    """The provider that a lane is about; None for the lanes that many sites share (and for all of them: ANY_LANE)."""
    return None if not lane or lane.startswith("#") or lane == ANY_LANE else lane


def host_and_port(server: str) -> tuple[str, int]:
    """From host:port or [v6]:port. Raises ValueError."""
    host, _, port = server.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("a server is written host:port")
    return host.strip("[]"), int(port)
