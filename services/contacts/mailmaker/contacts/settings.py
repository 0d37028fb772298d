"""contacts.settings: what this house is told, prefix MAILMAKER_CONTACTS_."""

from __future__ import annotations

from mailmaker.common.ops.settings import ServiceSettings
from pydantic import Field


class Settings(ServiceSettings):
    """Beside what every house has."""

    imports: int = Field(2, ge=1, le=16, description="Imports planned and applied at once by one process.")
    exports: int = Field(1, ge=1, le=16, description="Exports written at once by one process.")
    account_grace_days: float = Field(
        30.0,
        ge=0,
        le=3650,
        description="Days until the data of a closed account is removed; it can be reopened so long.",
    )
    export_kept_days: float = Field(
        7.0,
        gt=0,
        le=365,
        description="Days that the file of an export is kept, unless an erasure removes it before.",
    )
