"""common.testing.checker: judges a run from two ledgers: what the sink saw, and what each caller was told.

Pure functions. The platform's own database is a witness here, never the judge.
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailmaker.common.testing.ledger import Seen

Mail = tuple[str, str]
"""One mail: the mailing's id and the recipient's address, folded."""


@dataclass(frozen=True, slots=True)
class Told:
    """The client ledger's line of one "no": who said it, at which door, and what came back."""

    address: str
    door: str
    said_at: datetime
    answered_at: datetime | None
    """When the caller had its 2xx or 250; None when it was refused or never answered."""
    suppression_id: str | None = None
    recorded_at: datetime | None = None
    enforced_at: datetime | None = None
    in_flight: frozenset[str] = frozenset()
    """The mailings named as possibly still leaving when it was enforced."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A mail whose send began after its "no" was enforced, not named in flight."""

    address: str
    mailing: str
    door: str
    late_by: float
    message_id: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The scoreboard. A kept promise has nothing in the first five."""

    violations: tuple[Violation, ...]
    duplicates: tuple[Mail, ...]
    lost_mails: tuple[Mail, ...]
    unsaid_mails: tuple[Mail, ...]
    lost_nos: tuple[Told, ...]
    accepted: int
    left_in_flight: int
    latencies: tuple[float, ...]

    @property
    def kept(self) -> bool:
        return not (
            self.violations or self.duplicates or self.lost_mails or self.unsaid_mails or self.lost_nos
        )

    def latency(self, quantile: float) -> float:
        return percentile(self.latencies, quantile)

    def __str__(self) -> str:
        return (
            f"accepted {self.accepted}, violations {len(self.violations)}, duplicates {len(self.duplicates)},"
            f" lost mails {len(self.lost_mails)}, unsaid mails {len(self.unsaid_mails)}, "
            f"lost nos {len(self.lost_nos)}, left in flight {self.left_in_flight}, recorded -> enforced "
            f"p50 {self.latency(0.5):.3f} s, p99 {self.latency(0.99):.3f} s, max {self.latency(1):.3f} s"
        )


def judge(
    seen: Sequence[Seen],
    told: Sequence[Told],
    mailings: Mapping[int, str],
    delivered: Iterable[Mail] = (),
    may_have_arrived: Iterable[Mail] = (),
) -> Verdict:
    """The verdict on one account's run.

    `mailings` maps mailing numbers (as tokens carry them) to ids. `delivered` is what the platform says was
    delivered, `may_have_arrived` what it calls uncertain, still sending or bounced.
    """
    broken, named = violations(seen, told, mailings)
    said = set(delivered)
    return Verdict(
        violations=tuple(broken),
        duplicates=tuple(duplicates(seen, mailings)),
        lost_mails=tuple(sorted(said - mails(seen, mailings))),
        unsaid_mails=tuple(sorted(mails(seen, mailings) - said - set(may_have_arrived))) if said else (),
        lost_nos=tuple(lost_nos(told)),
        accepted=sum(one.accepted for one in seen),
        left_in_flight=named,
        latencies=tuple(latencies(told)),
    )


def violations(
    seen: Iterable[Seen], told: Iterable[Told], mailings: Mapping[int, str]
) -> tuple[list[Violation], int]:
    """Sends that began after `enforced`; and how many of the late ones were named in flight, as promised.

    A begun send counts even if its connection broke before the final dot. One naming pardons one send.
    """
    stopped: dict[str, Told] = {}
    for no in told:
        first = stopped.get(no.address.casefold())
        if no.enforced_at is not None and (
            first is None or first.enforced_at is None or no.enforced_at < first.enforced_at
        ):
            stopped[no.address.casefold()] = no
    broken, pardoned = [], Counter[Mail]()
    for one in seen:
        for address in one.recipients:
            said = stopped.get(address.casefold())
            if said is None or said.enforced_at is None or one.begun_at <= said.enforced_at:
                continue
            mailing = mailing_of(one, mailings)
            if mailing in said.in_flight and not pardoned[mailing, address.casefold()]:
                pardoned[mailing, address.casefold()] += 1
                continue
            late = (one.begun_at - said.enforced_at).total_seconds()
            broken.append(Violation(address, mailing, said.door, late, one.message_id))
    return broken, pardoned.total()


def duplicates(seen: Iterable[Seen], mailings: Mapping[int, str]) -> list[Mail]:
    """Mails the sink accepted more than once."""
    times = Counter(
        (mailing_of(one, mailings), address.casefold())
        for one in seen
        if one.accepted
        for address in one.recipients
    )
    return sorted(mail for mail, count in times.items() if count > 1)


def mails(seen: Iterable[Seen], mailings: Mapping[int, str]) -> set[Mail]:
    """Everything the sink accepted."""
    return {
        (mailing_of(one, mailings), address.casefold())
        for one in seen
        if one.accepted
        for address in one.recipients
    }


def lost_nos(told: Iterable[Told]) -> list[Told]:
    """Acknowledged "no"s that never came into force."""
    return [no for no in told if no.answered_at is not None and no.enforced_at is None]


def latencies(told: Iterable[Told]) -> list[float]:
    """Seconds from recorded to enforced, ascending."""
    return sorted(
        (no.enforced_at - no.recorded_at).total_seconds()
        for no in told
        if no.enforced_at is not None and no.recorded_at is not None
    )


def unbalanced(counts: Mapping[str, int]) -> int:
    """Planned recipients less the sum of all the states: 0 when every recipient is accounted for."""
    return counts["planned"] - sum(number for state, number in counts.items() if state != "planned")


def mailing_of(one: Seen, mailings: Mapping[int, str]) -> str:
    """The mailing of a transaction, by the number in its token; an unknown number keeps its own name."""
    number = mailing_number(one.token or one.message_id.lstrip("<").partition("@")[0])
    return mailings.get(number, f"number {number}")


def mailing_number(token: str) -> int:
    """Read from the token's payload without any key: this judge does not trust the platform's own reader."""
    try:
        return int.from_bytes(base64.b32decode(token[:56], casefold=True)[5:9], "big")
    except ValueError:
        return -1


def percentile(ascending: Sequence[float], quantile: float) -> float:
    """Nearest rank; 0 for none."""
    if not ascending:
        return 0.0
    return ascending[max(0, math.ceil(len(ascending) * quantile) - 1)]
