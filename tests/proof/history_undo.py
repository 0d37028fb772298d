"""proof: what an import did to a list, as its client knows it, and what taking it back comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from history_lifting import Lift
    from history_people import Contact

Fields = dict[str, str | None]


@dataclass
class Done:
    """What a file did: whom it created, which fields it changed, whom it removed."""

    where: str
    created: list[Contact] = field(default_factory=list)
    changed: list[tuple[Contact, Fields, Fields]] = field(default_factory=list)
    removed: list[tuple[Contact, Fields]] = field(default_factory=list)
    lift: Lift | None = None
    """What it asked suppression to lift."""
    undone: bool = False

    def note(self, c: Contact, was: Fields) -> None:
        """A contact that the file has written, and how it was before."""
        names = [name for name, value in c.fields.items() if was[name] != value]
        if names:
            before, after = ({name: side[name] for name in names} for side in (was, c.fields))
            self.changed.append((c, before, after))


@dataclass
class Taken:
    """How many rows of the import were restored, wholly or partly, and how many kept."""

    restored: int = 0
    partly: int = 0
    kept: int = 0

    def say(self, c: Contact, stands: int, of: int) -> None:
        """Of somebody erased an undo knows nothing, and says nothing."""
        if not c.erased:
            word = "kept" if not stands else "restored" if stands == of else "partly"
            setattr(self, word, getattr(self, word) + 1)
