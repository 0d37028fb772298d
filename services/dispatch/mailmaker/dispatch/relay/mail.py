"""dispatch.relay: one claimed message, prepared, on its way to a connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.dispatch.storage.outcomes import Beginning


@dataclass(slots=True)
class Mail:
    """One claimed message, prepared: its envelope and its exact bytes."""

    account_id: UUID
    id: UUID
    attempt_id: UUID
    mailing_id: UUID
    list_id: UUID
    channel: str
    subjects: tuple[bytes, ...]
    attempts: int
    first_try: datetime | None
    valid_until: datetime | None
    good_until: float
    envelope: bytes
    data: bytes
    domain: str
    """Of the recipient's address."""
    pooled: bool
    """Whether it was claimed for a pool of its account."""
    source: str = ""
    """Where it leaves from: said by the supply that hands it out."""

    @property
    def beginning(self) -> Beginning:
        return self.account_id, self.id, self.attempt_id
