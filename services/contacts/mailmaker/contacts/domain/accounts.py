"""contacts.domain.accounts: an account's states, and its API keys."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from mailmaker.contacts.domain.lists import MOST_LISTS

KEY_PREFIX = "mm_live_"
SECRET_BYTES = 32


class AccountState(StrEnum):
    """Suspended: nothing is sent, nothing can be changed, everything can be read, a "no" is still taken."""

    OPEN = "open"
    SUSPENDED = "suspended"
    CLOSED = "closed"


_NEXT = {
    AccountState.OPEN: {AccountState.SUSPENDED, AccountState.CLOSED},
    AccountState.SUSPENDED: {AccountState.OPEN, AccountState.CLOSED},
    AccountState.CLOSED: set[AccountState](),
}


def may_become(now: AccountState, wished: AccountState) -> bool:
    """Closing is for good, but for its grace (may_reopen); the rest goes both ways. Staying as it is is always allowed."""
    return wished == now or wished in _NEXT[now]


@dataclass(frozen=True, slots=True)
class Account:
    """One client of the platform. `number` is small and platform-wide: people, Feedback-ID and tokens use it."""

    account_id: UUID
    number: int
    name: str
    state: AccountState
    opened_at: datetime
    version: int
    most_lists: int = MOST_LISTS
    closed_at: datetime | None = None
    emptied_at: datetime | None = None
    """When its data was removed, after the grace of its closing."""


def moved(account: Account, state: AccountState, now: datetime) -> Account:
    """The account in another state. When it was closed is noted; a reopened one was never closed."""
    if state is account.state:
        return account
    return replace(account, state=state, closed_at=now if state is AccountState.CLOSED else None)


def may_reopen(account: Account, now: datetime, grace: timedelta) -> bool:
    """A closing can be taken back as long as nothing of the account has been removed."""
    closed = account.state is AccountState.CLOSED and account.emptied_at is None
    return closed and account.closed_at is not None and now < account.closed_at + grace


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is kept: never its secret. `hint` is the start of it, for people who look for it."""

    account_id: UUID
    id: UUID
    name: str
    hint: str
    scopes: tuple[str, ...]
    lists: tuple[UUID, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    version: int


def key_of(secret: bytes) -> str:
    """The text a client is shown once, from 256 random bits."""
    return KEY_PREFIX + base64.urlsafe_b64encode(secret).decode().rstrip("=")


def key_hash(text: str) -> bytes:
    """What is stored of a key. 256 random bits need no slow hash: there is nothing to guess."""
    return hashlib.sha256(text.encode()).digest()


def scope_faults(
    wished: Sequence[str], known: Container[str], own: Container[str]
) -> list[tuple[str, str, str]]:
    """What is wrong with a new key's scopes, as (JSON pointer, code, detail). No key makes one that may do more."""
    faults = []
    for i, scope in enumerate(wished):
        if scope not in known:
            faults.append((f"/scopes/{i}", "scope.unknown", "no such scope"))
        elif scope not in own:
            faults.append((f"/scopes/{i}", "scope.beyond", "the asking key does not have this scope itself"))
    return faults
