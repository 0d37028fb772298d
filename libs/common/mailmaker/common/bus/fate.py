"""common.bus.fate: how a handler says what becomes of the event it could not apply."""

from __future__ import annotations


class Fate(Exception):
    """The root of the two words a handler may say. Any other exception is temporary until it has come five times.

    Fate
    |-- Retry    not now: come again in so many seconds; not counted as a failure
    |-- Discard  never: kept as a dead letter with the reason; later events of the key go on
    """


class Retry(Fate):
    """What the event needs is not there yet. The key waits; other keys go on."""

    def __init__(self, after: float, why: str = "") -> None:
        super().__init__(why or f"again in {after} s")
        self.after = after


class Discard(Fate):
    """The event can never be applied here. The reason is kept beside it: a sentence without personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
