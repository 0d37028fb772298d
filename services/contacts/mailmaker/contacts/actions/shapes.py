"""contacts.actions.shapes: what is asked of accounts, keys and lists, and what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from mailmaker.common.contracts.contacts import CapPolicy, Controller, KeyKind
from mailmaker.contacts.domain.accounts import Account, ApiKey
from mailmaker.contacts.domain.lists import ContactList
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"),
]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class Asked(BaseModel):
    """A request's body; a field we do not know is a mistake worth naming."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AccountWish(Asked):
    """An account to open."""

    name: Name


class AccountChange(Asked):
    """What of an account to change."""

    name: Name | None = None
    state: Literal["open", "suspended", "closed"] | None = None
    most_lists: int | None = Field(
        default=None, ge=0, le=100_000, description="Lists it may have open at once."
    )


class AccountView(BaseModel):
    """An account. `number` is small and platform-wide: people, Feedback-ID and tokens use it. `emptied_at`: its data was
    removed, some time after it was closed."""

    id: UUID
    number: int
    name: str
    state: str
    opened_at: datetime
    most_lists: int
    closed_at: datetime | None = None
    emptied_at: datetime | None = None

    @classmethod
    def of(cls, a: Account, **more: Any) -> Any:
        return cls(
            id=a.account_id,
            number=a.number,
            name=a.name,
            state=str(a.state),
            opened_at=a.opened_at,
            most_lists=a.most_lists,
            closed_at=a.closed_at,
            emptied_at=a.emptied_at,
            **more,
        )


class KeyWish(Asked):
    """An API key to issue. `lists` limits it to these lists."""

    name: Name
    scopes: list[str] = Field(min_length=1, max_length=100)
    lists: list[UUID] | None = Field(default=None, max_length=500)
    expires_at: AwareDatetime | None = None


class KeyView(BaseModel):
    """An API key, without its secret. `hint` is how it begins."""

    id: UUID
    name: str
    hint: str
    scopes: list[str]
    lists: list[UUID] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, k: ApiKey, **more: Any) -> Any:
        return cls(
            id=k.id,
            name=k.name,
            hint=k.hint,
            scopes=list(k.scopes),
            lists=None if k.lists is None else list(k.lists),
            created_at=k.created_at,
            expires_at=k.expires_at,
            revoked_at=k.revoked_at,
            **more,
        )


class NewKeyView(KeyView):
    """A new API key. `key` is shown this once, and null in repeats of the call."""

    key: str | None


class NewAccountView(AccountView):
    """A new account with its first API key, which holds every scope. `key` is shown this once."""

    key: str | None
    key_id: UUID


class ListWish(Asked):
    """A list to open. `key` is what identifies its contacts, and stays."""

    name: Name
    key: KeyKind = "email"
    default_country: Country = "IT"
    timezone: str = "Europe/Rome"
    controller: Controller


class ListChange(Asked):
    """What of a list to change; what is not named stays."""

    name: Name | None = None
    default_country: Country | None = None
    timezone: str | None = None
    controller: Controller | None = None


class ListView(BaseModel):
    """A list. `version` is also its ETag."""

    id: UUID
    name: str
    key: KeyKind
    default_country: str
    timezone: str
    controller: Controller
    cap_policy: CapPolicy
    opened_at: datetime
    changed_at: datetime
    version: int

    @classmethod
    def of(cls, it: ContactList) -> ListView:
        return cls(
            id=it.id,
            name=it.name,
            key=it.key.value,
            default_country=it.default_country,
            timezone=it.timezone,
            controller=it.controller,
            cap_policy=it.caps,
            opened_at=it.opened_at,
            changed_at=it.changed_at,
            version=it.version,
        )
