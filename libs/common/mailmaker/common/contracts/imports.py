"""common.contracts.imports: events of imports.v1."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from mailmaker.common.contracts.event import Event, declared
from mailmaker.common.contracts.topic import IMPORTS, Topic
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class ImportGuards(BaseModel):
    """Above these percentages an import waits for somebody's word. None: never for that reason."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    max_removed_percent: float | None = None
    """Contacts that would be removed, of those in the list."""
    max_dropped_percent: float | None = None
    """Rows fewer than in the list's last applied file of the same mode, and of the same profile where both have one."""
    max_rejected_percent: float | None = None
    """Rows refused, of those in the file."""
    min_contacts: int = 0
    """`max_removed_percent` is asked of lists with at least so many contacts."""
    key_changed: bool = True
    """Whether a file whose `key_column` is another one than the last applied file's waits; that of the same mode and
    profile."""


class ImportFinding(BaseModel):
    """Something strange about a file: file.row_count, trailer.missing, trailer.count, encoding.mojibake,
    encoding.replaced."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    detail: str
    line: int | None = None
    count: int | None = None


class ImportBasis(BaseModel):
    """Why people who once opted out may be written to again, as the client states it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str
    consented_at: AwareDatetime | None = None


class _OfImport(Event):
    topic: ClassVar[Topic] = IMPORTS
    import_id: UUID
    list_id: UUID

    def key(self) -> str:
        return str(self.list_id)


@declared
class ImportStaged(_OfImport):
    """A file was read and its good rows are staged: contacts may pull and plan it."""

    type: Literal["import.staged"] = "import.staged"
    mode: Literal["incremental", "add", "update", "full", "opt_out"]
    rows: int
    rejected: int
    duplicate: int
    staged: int
    named: int = 0
    """Lines beside the staged rows, with a negative line number and a key alone: rejected rows whose key is good. A full
    import does not remove the contacts that they name; nothing else is done with them."""
    fields: tuple[str, ...]
    """The contact fields that the file has a column for; others are left as they are."""
    empty_cells: Literal["keep", "erase"]
    protect_cancellations: bool
    consent: Literal["subscribed", "pending"]
    apply: Literal["auto", "on_approval"]
    """With `findings` it is on_approval, whatever the client asked: a receiver that does not know findings waits too."""
    empty_cells_by_field: dict[str, Literal["keep", "erase"]] = Field(default_factory=dict)
    """Fields whose empty cells do something else than `empty_cells` says."""
    guards: ImportGuards | None = None
    findings: tuple[ImportFinding, ...] = ()
    by_line: bool = False
    """Its lines were told, and none is read yet: contacts says which ones the list does not hold. Until they are read
    nothing is known of refused and repeated rows, and `staged` is `rows`."""
    scope: Literal["list", "account"] = "list"
    """opt_out: where the "no"s of the file hold."""
    channel: Literal["email", "sms"] | None = None
    """opt_out: the one channel that they are about; None: what the columns of each row say."""
    received_at: AwareDatetime | None = None
    """When ingest had the whole file: a "no" that suppression recorded later is newer than the file."""
    sent_by: UUID | None = None
    """The API key that sent the file, or the drop that it came by."""
    lawful_basis: ImportBasis | None = None
    """Stated with `protect_cancellations` false."""
    key_column: str | None = None
    """The header of the column that fills the list's key field; None where no column does."""
    profile_id: UUID | None = None
    """The saved profile that the file was read by."""


@declared
class ImportCancelled(_OfImport):
    """The client took the import back before it was applied."""

    type: Literal["import.cancelled"] = "import.cancelled"
