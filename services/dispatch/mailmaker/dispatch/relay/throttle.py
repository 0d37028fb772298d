"""dispatch.relay: the limits of one way out, as the relay that holds it enforces them (SHP-4, SHP-6, SHP-7).

Where a way has one site, or one provider's sites, all share its limits; where many sites share a lane, each has its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from mailmaker.common.mail.reply import Reply
from mailmaker.dispatch.domain.backoff import BackoffPlan, Gate
from mailmaker.dispatch.domain.pace import Pace, Rate
from mailmaker.dispatch.domain.reactions import Reaction, Tally
from mailmaker.dispatch.domain.shaping import Limits
from mailmaker.dispatch.relay.budget import Budget

SITES = 4
"""A lane that many sites share may have so many times the connections of one site."""
KEPT = 2000
PROBE_AGAIN = 0.5
PROBE_ENDS = 5.0
"""Seconds that mails of a site which is being probed keep out of the way of a lane's other sites."""
NEXT_BLOCK = 0.5
"""Seconds after which a block that was used up may have been followed by another."""
UNLIMITED = 1_000_000
SERVER = BackoffPlan(first=0.5, longest=30.0)
"""How soon a server of one's own is tried again."""

React = Callable[[Reply], Sequence[Reaction]]


@dataclass(slots=True)
class _At:
    """One site, or all of a way: its gate, its pace, and what a provider has asked for lately."""

    gate: Gate
    paces: list[Pace]
    connecting: Pace | None
    slow: Pace | None = None
    slow_connections: int = UNLIMITED
    slow_until: float = 0.0
    tallies: dict[str, Tally] = field(default_factory=dict)


class Throttle:
    """Asked before each mail and each connection. Times are of the boot clock."""

    def __init__(
        self, limits: Limits, *, shared: bool, plan: BackoffPlan, react: React, now: float, granted: int
    ) -> None:
        self._limits = limits
        self._shared = shared
        self._plan = plan
        self._react = react
        self._taken_at = now
        self._at: OrderedDict[str, _At] = OrderedDict()
        self.granted = granted
        """Connections that the lease allows."""
        self.budget: Budget | None = None
        """What is left of the last block drawn, where the source warms up."""
        self.idle_for = limits.idle_timeout
        self.per_connection = limits.per_connection

    @property
    def connections(self) -> int:
        """Connections that may be open now, all sites together."""
        most = self._limits.connections * (SITES if self._shared else 1)
        slow = UNLIMITED if self._shared else self._of("").slow_connections
        return min(self.granted, most, slow)

    def per_site(self, site: str) -> int:
        """Connections to one site."""
        return min(self._limits.connections, self._of(site).slow_connections)

    def room(self, now: float) -> int:
        """How many messages it makes sense to have claimed: what cannot leave here may leave by another source."""
        room = UNLIMITED if self.budget is None else self.budget.left(now)
        gate = None if self._shared else self._of("").gate
        if gate is None or gate.state(now) == "closed":
            return room
        # After a pause one goes ahead, and the others where they are.
        return min(room, 1) if gate.may_try(now) else 0

    def away(self, site: str, now: float) -> bool:
        """Whether the site is left alone: it could not be reached, or a rule says so."""
        return self._of(site).gate.opens_at > now

    def wait(self, site: str, now: float) -> float:
        """Seconds until the next mail for the site may go; 0: it goes now, and is counted. After a pause it is a probe:
        ask `probing` at once."""
        at = self._of(site)
        self._forgive(at, now)
        if not at.gate.may_try(now):
            return self._until_try(at, now)
        if self.budget is not None and not self.budget.left(now):
            return NEXT_BLOCK
        paces = at.paces if at.slow is None else [*at.paces, at.slow]
        ready = max((pace.ready_at(now) for pace in paces), default=now)
        if ready > now:
            return ready - now
        for pace in paces:
            pace.take(now)
        if self.budget is not None:
            self.budget.take()
        if at.gate.state(now) != "closed":
            at.gate.began(now)
        return 0.0

    def probing(self, site: str) -> bool:
        """Whether a probe is under way: said to the one mail that `wait` has just let go, it is that mail."""
        return self._of(site).gate.probing

    def connecting(self, site: str, now: float, *, probe: bool) -> float:
        """Seconds until a connection to the site may be opened; 0: it is being opened, and ends in `connected`, `failed`
        or `withdrawn`."""
        at = self._of(site)
        if not probe and not at.gate.may_try(now):
            return self._until_try(at, now)
        if at.connecting is not None:
            ready = at.connecting.ready_at(now)
            if ready > now:
                return ready - now
            at.connecting.take(now)
        if not probe:
            at.gate.began(now)
        return 0.0

    def connected(self, site: str, now: float, *, probe: bool) -> None:
        """The connection was opened and greeted. A probe ends only with its message."""
        if not probe:
            self._of(site).gate.succeeded(now)

    def failed(self, site: str, now: float, chance: float) -> float:
        """The connection failed, or a probe was not answered. Returns the seconds until the next try."""
        gate = self._of(site).gate
        gate.failed(now, chance)
        return max(gate.opens_at - now, 0.0)

    def block(self) -> float:
        """When the block ends that the mail just let go was taken from."""
        return 0.0 if self.budget is None else self.budget.until

    def unsent(self, block: float) -> None:
        """A mail that `wait` let go was not begun after all."""
        if self.budget is not None:
            self.budget.give_back(block)

    def withdrawn(self, site: str) -> None:
        """A connection that was being opened was given up, or a probe was not sent: it says nothing about the site."""
        self._of(site).gate.withdrawn()

    def heard(self, site: str, reply: Reply, now: float, chance: float, *, probe: bool) -> list[Reaction]:
        """A message was answered. Returns what the reply sets off here."""
        at = self._of(site)
        if probe and reply.code == 421:
            at.gate.failed(now, chance)
        elif probe:
            at.gate.succeeded(now)
        if reply.code < 400:
            return []
        if self.budget is not None and reply.temporary:
            self.budget.deferred += 1
        return [reaction for reaction in self._react(reply) if self._obeys(at, reaction, now)]

    def _obeys(self, at: _At, reaction: Reaction, now: float) -> bool:
        tally = at.tallies.get(reaction.rule + reaction.action, Tally())
        at.tallies[reaction.rule + reaction.action], acts = tally.strike(reaction.threshold, now)
        if not acts:
            return False
        if reaction.action in ("suspend", "suspend_account"):
            # A source is of one account: what leaves it alone leaves the account alone there.
            at.gate.suspend(now + reaction.seconds)
        elif reaction.action == "slow":
            at.slow_until = max(at.slow_until, now + reaction.seconds)
            at.slow_connections = min(at.slow_connections, reaction.connections or UNLIMITED)
            if reaction.rate is not None and at.slow is None:
                at.slow = Pace(replace(reaction.rate, burst=1))
                at.slow.presume_spent(now)
        return True

    def _until_try(self, at: _At, now: float) -> float:
        """Seconds until it is worth asking a gate again that lets nothing through now."""
        return max(at.gate.opens_at - now, PROBE_ENDS if self._shared else PROBE_AGAIN)

    def _forgive(self, at: _At, now: float) -> None:
        if at.slow_until and now >= at.slow_until:
            at.slow, at.slow_connections, at.slow_until = None, UNLIMITED, 0.0

    def _of(self, site: str) -> _At:
        key = site if self._shared else ""
        at = self._at.get(key)
        if at is None:
            at = self._at[key] = self._new()
            self._trim()
        elif self._shared:
            self._at.move_to_end(key)
        return at

    def _trim(self) -> None:
        """Forgets the sites asked for longest ago, but none that is left alone, slow, or being tried."""
        for key in list(self._at)[: max(0, len(self._at) - KEPT)]:
            at = self._at[key]
            if at.gate.opens_at == float("-inf") and not at.gate.trying and not at.slow_until:
                del self._at[key]

    def _new(self) -> _At:
        limits = self._limits
        paces = [] if limits.rate is None else [Pace(limits.rate)]
        for count, seconds in ((limits.per_hour, 3600.0), (limits.per_day, 86400.0)):
            if count is not None:
                # Whoever held the path before may have used up what an hour or a day allows.
                paces.append(Pace(Rate(count, seconds)))
                paces[-1].presume_spent(self._taken_at)
        rate = limits.connection_rate
        return _At(Gate(self._plan), paces, None if rate is None else Pace(rate))


def own_server(connections: int, now: float) -> Throttle:
    """Of a server that is the platform's own: so many connections, and no other limit."""
    limits = Limits(
        connections=max(1, connections),
        connection_rate=None,
        per_connection=1000,
        rate=None,
        per_hour=None,
        per_day=None,
        tls="opportunistic",
        connect_timeout=20.0,
        idle_timeout=10.0,
        data_timeout=60.0,
        dot_timeout=180.0,
    )
    return Throttle(limits, shared=False, plan=SERVER, react=lambda _: (), now=now, granted=connections)
