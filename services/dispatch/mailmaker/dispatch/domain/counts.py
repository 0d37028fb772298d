"""dispatch.domain: where the recipients of a mailing are. Every recipient is in exactly one count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

MessageState = Literal[
    "queued",
    "scheduled",
    "claimed",
    "sending",
    "delivered",
    "deferred",
    "bounced",
    "expired",
    "uncertain",
    "suppressed",
    "capped",
    "held",
    "cancelled",
    "skipped",
]
STATES: tuple[str, ...] = get_args(MessageState)
WAITING = frozenset({"queued", "scheduled", "claimed", "sending"})
UNSETTLED = WAITING | {"deferred", "held"}
"""A mailing is finished when none of its messages is here."""
CANCELLABLE = frozenset({"queued", "scheduled", "held", "deferred", "claimed"})
"""What a "no" or a cancel still stops. `sending` has begun."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The twelve integers of a mailing. `planned` is the number of recipients; the others sum to it."""

    planned: int = 0
    delivered: int = 0
    deferred: int = 0
    bounced: int = 0
    expired: int = 0
    suppressed: int = 0
    capped: int = 0
    held: int = 0
    cancelled: int = 0
    skipped: int = 0
    uncertain: int = 0
    waiting: int = 0

    @property
    def settled(self) -> int:
        """Recipients that will not change any more by themselves."""
        return self.planned - self.waiting - self.deferred - self.held

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def counts_of(by_state: Mapping[str, int]) -> Counts:
    """The counts from the messages' states. An unknown state is an error, never a lost recipient."""
    unknown = by_state.keys() - set(STATES)
    if unknown:
        raise ValueError(f"unknown message states: {sorted(unknown)}")
    shown = {state: n for state, n in by_state.items() if state not in WAITING}
    waiting = sum(n for state, n in by_state.items() if state in WAITING)
    return Counts(planned=sum(by_state.values()), waiting=waiting, **shown)
