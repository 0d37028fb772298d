"""ingest.api.option_parts: the options of an import that are objects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator

Short = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Percent = Annotated[float, Field(ge=0, le=100)]


class GuardsBody(BaseModel):
    """Above these percentages an import waits for somebody's word; null: never for that reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_removed_percent: Percent | None = Field(
        None,
        description="Contacts removed, of those in the list. When missing, 20 for the mode full, in lists with at least"
        " 10 contacts; null lets a full file remove as many as it likes.",
    )
    min_contacts: int = Field(
        0,
        ge=0,
        le=1_000_000_000,
        description="`max_removed_percent` is asked of lists with at least so many contacts; 10 where neither is said and"
        " the mode is full.",
    )
    max_dropped_percent: Percent | None = Field(
        None,
        description="Rows fewer than in the last applied file of the list in the same mode, and by the same profile"
        " where both have one.",
    )
    max_rejected_percent: Percent | None = Field(None, description="Rows refused, of those in the file.")
    key_changed: bool = Field(
        True,
        description="A file waits whose column for the list's key has another name than in the last applied file of the"
        " same mode and profile; case and punctuation do not count. False: it does not.",
    )


class SplitNameBody(BaseModel):
    """One column that holds name and surname."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: Short
    order: Literal["name_surname", "surname_name"] = "name_surname"


class LawfulBasisBody(BaseModel):
    """Why people who once opted out may be written to again. Kept as evidence, with who sent the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=2000)]
    consented_at: AwareDatetime = Field(
        description="When these people consented anew, before the file came; no opt-out said after it is lifted."
    )

    @field_validator("consented_at")
    @classmethod
    def _is_a_time(cls, at: datetime) -> datetime:
        """In UTC: the first day of the calendar has no UTC in the east."""
        try:
            return at.astimezone(UTC)
        except OverflowError as wrong:
            raise ValueError("no such time") from wrong
