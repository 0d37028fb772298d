"""dispatch.domain: a feed item as standing directives: one row for each thing it names, in one scope."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from mailmaker.common.contracts.internal import FeedItem
from mailmaker.common.mail.subjects import contact_subject

Source = Literal["feed", "contacts"]
WHOLE_ACCOUNT = UUID(int=0)
CHANNELS = ("email", "sms")


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
    def contact_id(self) -> UUID | None:
        """The contact, where the subject is one."""
        is_contact = self.subject[:1] == b"c" and len(self.subject) == 17
        return UUID(bytes=self.subject[1:]) if is_contact else None

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


def directives_of(items: Iterable[FeedItem]) -> list[Directive]:
    """A feed item as its rows: one for each thing it names."""
    return [
        Directive(
            item.account_id,
            item.channel,
            bytes.fromhex(subject),
            item.list_id or WHOLE_ACCOUNT,
            "feed",
            item.number,
            item.released,
            item.suppression_id,
            item.reason,
        )
        for item in items
        for subject in item.subjects
    ]


def removals_of(
    account_id: UUID,
    list_id: UUID,
    contact_ids: Sequence[UUID],
    numbers: Sequence[int],
    reason: str,
    *,
    released: bool = False,
) -> list[Directive]:
    """Contacts that left their list, in every channel: nothing more is sent to those records. `released`: they are
    back."""
    return [
        Directive(
            account_id,
            channel,
            contact_subject(contact_id),
            list_id,
            "contacts",
            number,
            released,
            None,
            reason,
        )
        for contact_id, number in zip(contact_ids, numbers, strict=True)
        for channel in CHANNELS
    ]
