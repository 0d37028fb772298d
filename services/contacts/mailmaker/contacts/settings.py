"""contacts.settings: what this house is told, prefix MAILMAKER_CONTACTS_."""

from __future__ import annotations

from mailmaker.common.ops.settings import ServiceSettings
from pydantic import Field


class Settings(ServiceSettings):
    """Beside what every house has."""

    imports: int = Field(2, ge=1, le=16, description="Imports planned and applied at once by one process.")
