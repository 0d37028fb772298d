"""dispatch.domain: the gate of a source to a site: closed after a failure, tried by one probe, open again (SHP-7).

RFC 5321 section 4.5.4.1: a client delays before it tries a destination again, and the delay may follow the reason.
In the words of circuit breakers: *closed* lets everything through, *open* nothing, *half-open* one probe at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GateState = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class BackoffPlan:
    """The first pause, the factor from one to the next, the longest (all before jitter), in seconds; and the jitter."""

    first: float = 60.0
    factor: float = 2.0
    longest: float = 1800.0
    jitter: float = 0.2

    def pause(self, failures: int, chance: float) -> float:
        """Seconds to wait after so many failures on end. `chance` in [0, 1) goes both ways about the curve."""
        steps = min(max(failures - 1, 0), 32)
        return min(self.first * self.factor**steps, self.longest) * (1 + self.jitter * (2 * chance - 1))


class Gate:
    """Whether a source may connect to a site now. Times are of the boot clock.

    A *try* begins before the connect and ends exactly once: `failed` (no connection, or 421 at the banner),
    `succeeded`, or `withdrawn`. Closed, any number run at once; how many is the connection limit's matter. The first
    to fail opens the gate; the others of that crowd say nothing new and neither lengthen the pause nor end it. A probe
    begins when the pause is over and the crowd has gone, so then one connection is under way and no more.

    A probe is one message (SHP-7): `succeeded` is said when a message was answered, not at the banner.

    Mutable, for it changes with each try: held by the one relay that has the path. It reads no clock. A call out of
    turn (a try where none may begin, an end without a try) raises ValueError and changes nothing.
    """

    __slots__ = ("_failures", "_plan", "_probing", "_running", "_until")

    def __init__(self, plan: BackoffPlan) -> None:
        self._plan = plan
        self._failures = 0
        self._running = 0
        self._probing = False
        self._until: float | None = None

    @property
    def opens_at(self) -> float:
        """No try begins before it: minus infinity while closed. From then on `may_try` tells if a probe is out."""
        return float("-inf") if self._until is None else self._until

    @property
    def failures(self) -> int:
        """Failures on end that made the pause, for the operator."""
        return self._failures

    @property
    def trying(self) -> bool:
        """A try is under way."""
        return self._running > 0

    @property
    def probing(self) -> bool:
        """A probe is under way: its connection carries one message and no second."""
        return self._probing

    def state(self, now: float) -> GateState:
        """For the operator and for metrics."""
        if self._until is None:
            return "closed"
        return "half-open" if now >= self._until else "open"

    def may_try(self, now: float) -> bool:
        """True: `began` may be said now."""
        return self._until is None or (now >= self._until and not self._running)

    def began(self, now: float) -> None:
        """A try begins."""
        if not self.may_try(now):
            raise ValueError("no try may begin now")
        self._running += 1
        self._probing = self._until is not None

    def failed(self, now: float, chance: float) -> None:
        """A try failed. `chance` in [0, 1) spreads the probes of many gates that one outage opened together."""
        if self._ended():
            self._failures += 1
            self._until = max(now + self._plan.pause(self._failures, chance), self.opens_at)

    def succeeded(self, now: float) -> None:
        """A try succeeded. A probe closes the gate, unless a rule has suspended it meanwhile."""
        if self._ended():
            self._failures = 0
            if self._until is not None and now >= self._until:
                self._until = None

    def withdrawn(self) -> None:
        """A try ended and tells nothing of the site (cancelled, lease lost): the next probe may begin at once."""
        self._ended()

    def suspend(self, until: float) -> None:
        """A reactive rule (SHP-6): nothing before `until`, then a probe as after a failure. The later end stands."""
        self._until = max(until, self.opens_at)

    def _ended(self) -> bool:
        """Takes a try off. True when its end counts: it began as the gate stands, not before it opened."""
        if not self._running:
            raise ValueError("no try is under way")
        self._running -= 1
        counts = self._until is None or self._probing
        self._probing = False
        return counts
