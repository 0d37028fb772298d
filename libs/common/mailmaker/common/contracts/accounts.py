"""common.contracts.accounts: events of accounts.v1."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from mailmaker.common.contracts.event import Event, declared
from mailmaker.common.contracts.topic import ACCOUNTS, Topic


@declared
class AccountChanged(Event):
    """An account was opened, changed, suspended or closed. A current state: `version` orders it."""

    topic: ClassVar[Topic] = ACCOUNTS
    type: Literal["account.changed"] = "account.changed"
    number: int
    name: str
    state: Literal["open", "suspended", "closed"]
    version: int


@declared
class AccountEmptied(Event):
    """The grace of a closed account is over and contacts has removed its data: every house removes its own, but no "no"."""

    topic: ClassVar[Topic] = ACCOUNTS
    type: Literal["account.emptied"] = "account.emptied"

    def key(self) -> str:
        # The account's state, which says that it is closed, must not be compacted away by this.
        return f"{self.account_id}/emptied"


@declared
class ApiKeyChanged(Event):
    """An API key was issued or revoked. The secret is known to its holder only; this carries its SHA-256."""

    topic: ClassVar[Topic] = ACCOUNTS
    type: Literal["api_key.changed"] = "api_key.changed"
    key_id: UUID
    secret_hash: str
    scopes: tuple[str, ...]
    revoked: bool
    version: int

    def key(self) -> str:
        # A key's state must not be compacted away by its account's.
        return f"{self.account_id}/{self.key_id}"
