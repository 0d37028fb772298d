"""common.ops.settings: configuration by environment, frozen, unknown keys refused."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

PREFIX = "MAILMAKER_"


class WrongSettings(Exception):
    """The environment cannot be read. Names every variable at fault; never repeats a value."""


class Shared(BaseModel):
    """What every house needs, prefix MAILMAKER_."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: SecretStr = Field(SecretStr(""), description="PostgreSQL, as this house's role.")
    kafka: str = Field("", description="Apache Kafka bootstrap, host:port. Empty: the in-process bus.")
    service_token: SecretStr = Field(
        description="What houses show each other on /internal, 32 characters or more."
    )
    token_keys: SecretStr = Field(
        description="Token keys, `1:<base64url>,2:<base64url>`; the highest id mints."
    )
    pepper: SecretStr = Field(description="Key of address keys, base64url of 32 bytes. Never changes.")
    operator_key_hash: SecretStr = Field(
        SecretStr(""), description="SHA-256, hex, of the platform operator's key."
    )
    base_url: str = Field("http://127.0.0.1:8000", description="Where public pages answer.")
    mail_domain: str = Field("mail.demo.test", description="Domain of return paths and unsubscribe mail.")
    contacts_url: str = Field("http://127.0.0.1:8001", description="Where the house contacts answers.")
    ingest_url: str = Field("http://127.0.0.1:8002", description="Where the house ingest answers.")
    dispatch_url: str = Field("http://127.0.0.1:8003", description="Where the house dispatch answers.")
    suppression_url: str = Field("http://127.0.0.1:8004", description="Where the house suppression answers.")
    fbl_url: str = Field("http://127.0.0.1:8005", description="Where the house fbl answers.")
    rate_limit: int = Field(
        3000,
        ge=0,
        description="Requests a key may make of a process in a window, at once or spread. 0: no limit.",
    )
    rate_window: int = Field(60, ge=1, le=86400, description="Seconds of that window.")
    rate_loopback_free: bool = Field(
        False,
        description="Clients on this machine meet no limit; only behind a front door that names its clients.",
    )
    log_level: str = Field("info", description="debug, info, warning or error.")

    @field_validator("pepper")
    @classmethod
    def _pepper_is_long(cls, value: SecretStr) -> SecretStr:
        if len(_decoded(value)) < 32:
            raise ValueError("32 bytes or more, base64url")
        return value

    @property
    def pepper_bytes(self) -> bytes:
        return _decoded(self.pepper)

    def url_of(self, house: str) -> str:
        """Where a house answers other houses."""
        return str(getattr(self, f"{house}_url")).rstrip("/")


class ServiceSettings(BaseModel):
    """What every house has for itself, prefix MAILMAKER_<NAME>_; each house adds its own in settings.py."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address its HTTP doors listen on.")
    port: int = Field(0, description="Port of its HTTP doors; 0 takes a free one.")
    database_url: SecretStr | None = Field(
        None, description="Overrides MAILMAKER_DATABASE_URL for this house."
    )
    database_pool: int = Field(10, ge=2, le=200, description="Connections to PostgreSQL.")
    member: str = Field(
        "",
        max_length=60,
        description="A name this process keeps when it is started again, as a pod's ordinal.",
    )
    workers: bool = Field(True, description="False: HTTP doors only, no background workers.")


S = TypeVar("S", bound=BaseModel)


def load(cls: type[S], environ: Mapping[str, str], prefix: str) -> S:
    """Reads `prefix`* from the environment; `<KEY>_FILE` names a file that holds the value. Raises WrongSettings."""
    values: dict[str, str] = {}
    for name, value in environ.items():
        if not name.startswith(prefix) or (name in _shared_names() and cls is not Shared):
            continue  # MAILMAKER_CONTACTS_URL tells every house where contacts is; it is not contacts' own
        key = name.removeprefix(prefix).lower()
        if key not in cls.model_fields and key.endswith("_file"):
            key, value = key.removesuffix("_file"), Path(value).read_text().strip()
        values[key] = value
    try:
        return cls.model_validate(values)
    except ValidationError as wrong:
        faults = "; ".join(
            f"{prefix}{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in wrong.errors()
        )
        raise WrongSettings(faults) from None


def load_shared(environ: Mapping[str, str], houses: tuple[str, ...]) -> Shared:
    """The shared settings: every MAILMAKER_ key that is not a house's own and not the launcher's."""
    own = tuple(f"{PREFIX}{name.upper()}_" for name in houses)
    launcher = ("MAILMAKER_PG_BIN", "MAILMAKER_JAVA", "MAILMAKER_ADMIN_DATABASE_URL", "MAILMAKER_API_KEY")
    shared = {
        name: value
        for name, value in environ.items()
        if name in _shared_names()
        or not (name.startswith(own) or name in launcher or name.startswith("MAILMAKER_E2E_"))
    }
    return load(Shared, shared, PREFIX)


def _shared_names() -> set[str]:
    return {PREFIX + name.upper() for name in Shared.model_fields}


def _decoded(secret: SecretStr) -> bytes:
    text = secret.get_secret_value()
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
