"""suppression.domain.entry: the ledger as it is shown: entries, their repetitions, lines of an account's feed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.internal import InFlight
from mailmaker.common.contracts.suppressions import Door, Reason, Scope
from mailmaker.common.mail.address import Channel


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger with its state."""

    id: UUID
    channel: Channel
    scope: Scope
    list_id: UUID | None
    contact_id: UUID | None
    door: Door
    reason: Reason
    received_at: datetime
    recorded_at: datetime
    enforced_at: datetime | None = None
    stopped: tuple[InFlight, ...] = ()
    in_flight: tuple[InFlight, ...] = ()
    released_at: datetime | None = None
    release_reason: str | None = None
    release_evidence: Mapping[str, str] | None = None
    """An import that lifted it: its id, who sent it, how many people it named."""
    positions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """One repetition."""

    id: UUID
    door: Door
    reason: Reason
    received_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class OwnLine:
    """A line of the account's own feed; `number` is the account's."""

    number: int
    suppression_id: UUID
    channel: Channel
    scope: Scope
    list_id: UUID | None
    contact_id: UUID | None
    subjects: tuple[str, ...]
    reason: Reason
    door: Door
    released: bool
    received_at: datetime
    recorded_at: datetime
