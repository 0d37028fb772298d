"""suppression.settings: what this house alone reads from the environment, prefix MAILMAKER_SUPPRESSION_."""

from __future__ import annotations

from pathlib import Path

from mailmaker.common.ops.settings import ServiceSettings
from pydantic import Field


class Settings(ServiceSettings):
    """Settings of suppression. Frozen; unknown keys are refused."""

    journal: Path = Field(
        Path(".mailmaker/journal"),
        description='Directory of the local journals of "no"s, on a disk that outlives the process.',
    )
    contacts_timeout: float = Field(
        0.8, gt=0, le=5, description="Seconds a token door waits for contacts before it records without it."
    )
    record_timeout: float = Field(
        2.0,
        gt=0,
        le=30,
        description="Seconds a token door waits for PostgreSQL before it writes to the journal.",
    )
    page_wait: float = Field(
        1.5, ge=0, le=10, description="Seconds the unsubscribe page waits to tell what was stopped."
    )
