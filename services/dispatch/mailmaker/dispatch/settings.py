"""dispatch.settings: what this house is told by its environment, prefix MAILMAKER_DISPATCH_."""

from __future__ import annotations

from mailmaker.common.ops.settings import ServiceSettings
from pydantic import Field, SecretStr


class Settings(ServiceSettings):
    """dispatch's own settings."""

    database_pool: int = Field(16, ge=4, le=200, description="Connections to PostgreSQL.")
    signing_secret: SecretStr = Field(
        min_length=16, description="Seals the DKIM private keys in the database. Losing it means new keys."
    )
    demo_zone: str = Field(
        "", description="A domain whose DNS the platform answers itself; empty in production."
    )
    smarthost: str = Field(
        "127.0.0.1:2525", description="The SMTP server that takes every message, host:port."
    )
    connections: int = Field(20, ge=1, le=1000, description="SMTP connections of one relay.")
    ehlo: str = Field("localhost", description="The name the relay says in EHLO.")
