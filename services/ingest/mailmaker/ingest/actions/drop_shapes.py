"""ingest.actions.drop_shapes: drops as clients ask for them and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from mailmaker.ingest.domain.drops import Drop, Protocol, Rule, Taken
from pydantic import BaseModel, ConfigDict, Field

Name = Field(min_length=1, max_length=200)
Pattern = Field(
    "*", min_length=1, max_length=200, description="Names it is for: `*`, `?`, `[a-z]`; case does not count."
)
NamedProfile = UUID | Literal["none"] | None
MAX_BYTES = 1 << 40


class Wish(BaseModel):
    """What every body here is: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleWish(Wish):
    """How files with such names are imported; what is not said is the drop's."""

    pattern: str = Field(min_length=1, max_length=200)
    list: UUID | None = None
    mode: str | None = None
    options: dict[str, Any] | None = Field(None, description="As in POST /v1/imports, without list and mode.")
    profile: NamedProfile = Field(None, description="A saved import profile; the drop's when missing.")


class DropWish(Wish):
    """A new inbox."""

    name: str = Name
    protocols: tuple[Protocol, ...] = Field(("sftp",), min_length=1, max_length=3)
    list: UUID = Field(description="The list its files go into.")
    mode: str | None = Field(
        None, description="When missing, that of the profile that is used for a file, or incremental."
    )
    pattern: str = Pattern
    options: dict[str, Any] = Field({}, description="As in POST /v1/imports, without list and mode.")
    profile: NamedProfile = Field(
        None,
        description="A saved import profile. When missing, each file's name chooses one: the list's own or the account's"
        " whose `file_pattern` matches best. none: no profile.",
    )
    rules: tuple[RuleWish, ...] = Field((), max_length=20, description="Tried in order before `pattern`.")
    password: bool = Field(True, description="Whether a password is made; it is shown once, in this answer.")
    public_keys: tuple[str, ...] = Field((), max_length=20)
    quota_bytes: int | None = Field(None, ge=1, le=MAX_BYTES, description="Of the files that wait in `in/`.")
    quota_files: int | None = Field(None, ge=1, le=100_000)


class DropChange(Wish):
    """What is named changes. `password: false` takes the password away; `:rotate` makes another."""

    name: str | None = Field(None, min_length=1, max_length=200)
    protocols: tuple[Protocol, ...] | None = Field(None, min_length=1, max_length=3)
    list: UUID | None = None
    mode: str | None = None
    pattern: str | None = Field(None, min_length=1, max_length=200)
    options: dict[str, Any] | None = None
    profile: NamedProfile = None
    rules: tuple[RuleWish, ...] | None = Field(None, max_length=20)
    password: Literal[False] | None = None
    public_keys: tuple[str, ...] | None = Field(None, max_length=20)
    quota_bytes: int | None = Field(None, ge=1, le=MAX_BYTES)
    quota_files: int | None = Field(None, ge=1, le=100_000)
    active: bool | None = None


class RuleView(BaseModel):
    """How files with such names are imported."""

    pattern: str
    list: UUID
    mode: str | None
    options: dict[str, Any]
    profile: NamedProfile

    @classmethod
    def of(cls, rule: Rule) -> RuleView:
        beside = ("list", "mode", "profile")
        return cls(
            pattern=rule.pattern,
            list=rule.list_id,
            mode=rule.asked.get("mode"),
            options={name: value for name, value in rule.asked.items() if name not in beside},
            profile=rule.profile if rule.by_name or rule.profile else "none",
        )


class DropView(BaseModel):
    """An inbox. `has_password` tells whether one opens it; the password itself nobody can see again."""

    id: UUID
    name: str
    user_name: str
    protocols: tuple[str, ...]
    list: UUID
    mode: str | None
    pattern: str
    options: dict[str, Any]
    profile: NamedProfile
    rules: tuple[RuleView, ...]
    has_password: bool
    public_keys: tuple[str, ...]
    quota_bytes: int | None
    quota_files: int | None
    active: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None
    version: int

    @classmethod
    def of(cls, drop: Drop) -> DropView:
        return cls(**fields_of(drop))


class DropOpened(DropView):
    """An inbox with its new password, which is shown this once."""

    password: str | None


class TakenView(BaseModel):
    """A file that was taken from an inbox. `import` tells the rest: GET /v1/imports/{id}."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    id: UUID
    name: str
    size: int
    state: str
    import_id: UUID | None = Field(alias="import")
    error: dict[str, str] | None
    taken_at: datetime
    report: str | None

    @classmethod
    def of(cls, taken: Taken) -> TakenView:
        code = taken.error_code
        return cls(
            id=taken.id,
            name=taken.name,
            size=taken.size,
            state=taken.state,
            import_id=taken.import_id,
            error=None if code is None else {"code": code, "detail": taken.error_detail or ""},
            taken_at=taken.taken_at,
            report=f"reports/{taken.name}.{taken.stamp}.json" if taken.told == "ended" else None,
        )


class PgpKeyView(BaseModel):
    """The account's key for encrypted files: encrypt to it, and name the file `*.pgp` or `*.gpg`."""

    fingerprint: str
    public_key: str
    created_at: datetime


def fields_of(drop: Drop) -> dict[str, Any]:
    """What a view shows of a drop. Its last rule is the drop's own, the others stand before it."""
    *rules, own = (RuleView.of(rule) for rule in drop.rules)
    return {
        "id": drop.id,
        "name": drop.name,
        "user_name": drop.user_name,
        "protocols": drop.protocols,
        **own.model_dump(),
        "rules": rules,
        "has_password": drop.password_hash is not None,
        "public_keys": drop.public_keys,
        "quota_bytes": drop.quota_bytes,
        "quota_files": drop.quota_files,
        "active": drop.active,
        "created_at": drop.created_at,
        "updated_at": drop.updated_at,
        "last_login_at": drop.last_login_at,
        "version": drop.version,
    }
