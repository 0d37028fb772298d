"""ingest.domain.logins: how long somebody who said wrong passwords is not heard."""

from __future__ import annotations

from dataclasses import dataclass

FORGOTTEN_AFTER = 3600.0
LONGEST = 900.0


@dataclass(frozen=True, slots=True)
class Failures:
    """Wrong passwords of one user name, or from one address, and when the last one was said."""

    count: int = 0
    last: float = 0.0

    def failed(self, now: float) -> Failures:
        """One more; those of an hour ago are forgotten."""
        before = 0 if now - self.last >= FORGOTTEN_AFTER else self.count
        return Failures(before + 1, now)

    def heard_again(self, free: int) -> float:
        """When the next password is looked at: after `free` wrong ones 1 s after the last, then doubling to 15 minutes."""
        if self.count < free:
            return 0.0
        return self.last + min(2.0 ** min(self.count - free, 20), LONGEST)
