"""dispatch.domain: the last look: one question without await between the commit of `sending` and the wire.

It keeps the set in flight small; it is not the proof (that is the row lock at `sending`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from mailmaker.dispatch.domain.leases import Lease

STALE_AFTER = 10.0
"""Seconds: an older watermark vouches for nothing (fail closed)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message that had begun is not written after all: the state it goes to, and the reason."""

    state: str
    reason: str | None


LEASE_LOST = Refusal("queued", "lease")
NO_WATERMARK = Refusal("queued", "watermark")
NOT_RUNNING = Refusal("queued", "mailing")
STOPPING = Refusal("queued", "stopping")
WAY_CLOSED = Refusal("queued", "way")
"""Its account, or its rules, send it another way now."""


class View(Protocol):
    """What this process has seen of "no"s and mailings."""

    @property
    def fresh_until(self) -> float: ...

    @property
    def running(self) -> Mapping[UUID, object]: ...

    def stopped(
        self, account_id: UUID, list_id: UUID, channel: str, subjects: tuple[bytes, ...]
    ) -> Refusal | None: ...


def look(
    boot: float,
    lease: Lease,
    view: View,
    account_id: UUID,
    mailing_id: UUID,
    list_id: UUID,
    channel: str,
    subjects: tuple[bytes, ...],
) -> Refusal | None:
    """None: write it. Otherwise what it becomes instead."""
    if not lease.alive(boot):
        return LEASE_LOST
    if boot >= view.fresh_until:
        return NO_WATERMARK
    if mailing_id not in view.running:
        return NOT_RUNNING
    return view.stopped(account_id, list_id, channel, subjects)
