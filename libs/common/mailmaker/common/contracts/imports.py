"""common.contracts.imports: events of imports.v1."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from mailmaker.common.contracts.event import Event, declared
from mailmaker.common.contracts.topic import IMPORTS, Topic


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


@declared
class ImportCancelled(_OfImport):
    """The client took the import back before it was applied."""

    type: Literal["import.cancelled"] = "import.cancelled"
