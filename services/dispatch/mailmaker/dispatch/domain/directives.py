"""dispatch.domain: a feed item as standing directives: one row for each thing it names, in one scope."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Source = Literal["feed", "contacts"]
WHOLE_ACCOUNT = UUID(int=0)
BATCH = 500


@dataclass(frozen=True, slots=True)
class Directive:
    """What was said about one subject (common.mail.subjects) in one scope. `number` tells the last."""

    account_id: UUID
    channel: str
    subject: bytes
    list_id: UUID
    source: Source
    number: int
    released: bool
    suppression_id: UUID | None
    reason: str

    @property
    def key(self) -> tuple[bytes, str, bytes, bytes, str]:
        return self.account_id.bytes, self.channel, self.subject, self.list_id.bytes, self.source


def latest(directives: Iterable[Directive]) -> list[Directive]:
    """The last word on each key, in the order rows are locked: two appliers never wait in a ring."""
    last: dict[tuple[bytes, str, bytes, bytes, str], Directive] = {}
    for directive in directives:
        known = last.get(directive.key)
        if known is None or known.number < directive.number:
            last[directive.key] = directive
    return [last[key] for key in sorted(last)]


def stopping(directives: Iterable[Directive]) -> list[Directive]:
    """Those that stop messages. A release stops none and brings none back."""
    return [directive for directive in directives if not directive.released]
