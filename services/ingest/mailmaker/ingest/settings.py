"""ingest.settings: what this house is told by its environment, prefix MAILMAKER_INGEST_."""

from __future__ import annotations

from pathlib import Path

from mailmaker.common.ops.settings import ServiceSettings
from pydantic import Field


class Settings(ServiceSettings):
    """ingest's own settings."""

    files: Path = Field(
        description="Directory of uploads, staged files and rejects; shared by every process of this house."
    )
    max_upload: int = Field(2 << 30, ge=1, description="The largest file taken, in bytes.")
    max_unpacked: int = Field(2 << 30, ge=1, description="The most that may come out of one file, in bytes.")
    parsers: int = Field(2, ge=1, le=64, description="Files read at the same time by one process.")
