"""dispatch.domain: a running mailing as a relay knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RunningMailing:
    """What a relay needs to claim for a mailing."""

    account_id: UUID
    id: UUID
    number: int
    channel: str
    mail_class: str
    list_ids: tuple[UUID, ...]
    valid_until: datetime | None
    due: bool
    over: bool
