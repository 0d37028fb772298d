"""common.web.call: one authorised call: whose, by which key, and the first answer to give again."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An Idempotency-Key with the request it belongs to. `body_hash` tells a repeat from another body."""

    method: str
    path: str
    key: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """What an API door hands to an action. An operator's call names the account it acts on, or the nil id."""

    account_id: UUID
    account_number: int
    key_id: UUID
    request_id: str
    operator: bool = False
    scopes: frozenset[str] = frozenset()
    list_ids: frozenset[UUID] | None = None
    once: RequestKey | None = None
