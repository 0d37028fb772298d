"""dispatch.domain: what keeps a mailing from starting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.dispatch.domain.mailing import Mailing
from mailmaker.dispatch.domain.sending import MailList, Sender


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing that must change first. `pointer` names the mailing's field."""

    pointer: str
    code: str
    detail: str


def blockers(
    mailing: Mailing, sender: Sender | None, lists: Mapping[UUID, MailList], now: datetime
) -> tuple[Blocker, ...]:
    """Everything that keeps a mailing from starting now. None of it is passed over."""
    found = []
    if sender is None:
        found.append(Blocker("/sender", "sender.unknown", "the sender is gone"))
    elif not sender.domain_verified:
        found.append(
            Blocker("/sender", "domain.unverified", "the sender's domain does not show our DKIM key")
        )
    for place, list_id in enumerate(mailing.list_ids):
        if list_id not in lists or lists[list_id].closed:
            found.append(Blocker(f"/lists/{place}", "list.unknown", "the list is gone"))
    if mailing.valid_until is not None and mailing.valid_until <= (mailing.schedule or now):
        found.append(Blocker("/valid_until", "mailing.over", "it would be over before it begins"))
    return tuple(found)
