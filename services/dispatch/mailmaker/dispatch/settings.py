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
    relay: bool = Field(
        True, description="Whether this process sends. One that does not puts every no into force faster."
    )
    nice: int = Field(
        0, ge=0, le=19, description="CPU niceness of a process that sends, where it shares its cores."
    )
    feed_patience: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Seconds the feed must have stood still before this process applies it; 0: always. Above 0: a standby.",
    )
    ehlo: str = Field("localhost", description="The name the relay says in EHLO.")
