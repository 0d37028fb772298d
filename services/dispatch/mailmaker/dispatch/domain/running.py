"""dispatch.domain: a running mailing as a relay knows it, and what one way out may take of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    sender_id: UUID
    sender_domain: str
    tag: str | None
    pooled: bool
    """Whether its account has pools of its own: then nothing of it leaves by the platform's own way."""
    rate: int | None = None
    """Messages a minute at most; None: as fast as they go."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a relay may claim of one mailing for one way out. `routes`: the lists, each with the rule that sends it there;
    None: all lists, by the platform's own way. `lane`: only messages of that lane."""

    mailing: RunningMailing
    routes: Mapping[UUID, str] | None = None
    lane: str | None = None


def turn_of(order: Order) -> bytes:
    """A mailing's place among all."""
    return order.mailing.account_id.bytes + order.mailing.id.bytes


def in_turn(orders: Sequence[Order], last: bytes) -> Order | None:
    """The order whose turn comes after `last`: a small mailing does not wait for a large one to end."""
    after = [order for order in orders if turn_of(order) > last]
    return min(after or orders, key=turn_of, default=None)
