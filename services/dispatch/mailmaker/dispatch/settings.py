"""dispatch.settings: what this house is told by its environment, prefix MAILMAKER_DISPATCH_."""

from __future__ import annotations

from pathlib import Path

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
        "127.0.0.1:2525",
        description="The SMTP server, host:port, that takes the mail of accounts without pools of their own, and what"
        " sources with the driver sandbox send. Empty: mail without a pool waits.",
    )
    shaping: Path | None = Field(
        None, description="A shaping.toml of yours, laid over the one that comes with the product."
    )
    nameserver: str = Field(
        "", description="The DNS server to ask, IP or IP:port; empty: those of the machine."
    )
    smtp_port: int = Field(
        25,
        ge=1,
        le=65535,
        description="Where recipients' servers listen; other than 25 only in a closed network.",
    )
    private_targets: bool = Field(
        False, description="Whether mail may go to private and loopback addresses: only in a closed network."
    )
    paths: int = Field(
        200, ge=1, le=10_000, description="Egress paths (a source to a site) that one process leads at most."
    )
    connections: int = Field(
        20, ge=1, le=1000, description="SMTP connections of one process to the smarthost."
    )
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
