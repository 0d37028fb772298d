"""dispatch.domain: a relay's lease: until when it may write to a server. Counted on the boot clock."""

from __future__ import annotations

from dataclasses import dataclass

LEASE_SECONDS = 8.0
RENEW_EVERY = 2.0
SKEW = 0.25
"""The boot clock and PostgreSQL's may run apart a little; a relay lets go of its lease this much earlier."""


@dataclass(slots=True)
class Lease:
    """A fence and the boot time at which it ends, counted from before the grant or renewal was asked for.

    So the relay's own end is never later than the one PostgreSQL holds, however slow the answer was.
    """

    fence: int
    ends: float

    @classmethod
    def asked(cls, fence: int, asked_at: float) -> Lease:
        return cls(fence, asked_at + LEASE_SECONDS - SKEW)

    def renewed(self, asked_at: float) -> None:
        """A renewal asked at a boot time was granted."""
        self.ends = max(self.ends, asked_at + LEASE_SECONDS - SKEW)

    def lose(self) -> None:
        """The lease is over, whatever the clock says."""
        self.ends = float("-inf")

    def alive(self, boot: float) -> bool:
        return boot < self.ends
