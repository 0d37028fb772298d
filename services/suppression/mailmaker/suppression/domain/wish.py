"""suppression.domain.wish: what a client's opt-out system asks for, checked, as a "no"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.suppressions import Reason, Scope
from mailmaker.common.mail.address import (
    Channel,
    InvalidAddress,
    address_key,
    canonical_address,
    canonical_mobile,
)
from mailmaker.common.mail.subjects import address_subject, fkey_subject

ANY_COUNTRY = "ZZ"
"""ISO 3166's "unknown": only numbers with their prefix are read."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One wish as the door read it. Exactly one of email, mobile and fkey names the person."""

    channel: Channel
    scope: Scope
    reason: Reason
    list_id: UUID | None = None
    email: str | None = None
    mobile: str | None = None
    fkey: str | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """A field that cannot be taken: its name, a stable code, what to do."""

    name: str
    code: str
    detail: str


def faults(wish: Wish) -> list[Wrong]:
    """What is wrong with the wish's form, each by its field."""
    found: list[Wrong] = []
    given = [name for name in ("email", "mobile", "fkey") if getattr(wish, name) is not None]
    if not given:
        found.append(Wrong("email", "key.missing", "name the person by email, mobile or fkey"))
    if len(given) > 1:
        found.append(
            Wrong(given[1], "key.ambiguous", f"{given[0]} names the person already: send one of them")
        )
    if wish.email is not None and wish.channel != "email":
        found.append(Wrong("email", "key.channel", "an address is suppressed on the channel email"))
    if wish.mobile is not None and wish.channel != "sms":
        found.append(Wrong("mobile", "key.channel", "a number is suppressed on the channel sms"))
    if wish.fkey == "":
        found.append(Wrong("fkey", "key.empty", "an fkey has at least one character"))
    if wish.list_id is None and wish.fkey is not None:
        found.append(Wrong("list", "list.missing", "an fkey is the key of one list: name it"))
    elif wish.list_id is None and wish.scope == "list":
        found.append(Wrong("list", "list.missing", "the scope list needs a list"))
    if wish.received_at is not None and wish.received_at.tzinfo is None:
        found.append(Wrong("received_at", "time.zone", "a time needs its offset, as 2026-11-24T09:30:00Z"))
    return found


def subject_of(wish: Wish, pepper: bytes, account_id: UUID, country: str = ANY_COUNTRY) -> bytes:
    """The suppression key the wish names. Raises InvalidAddress."""
    if wish.fkey is not None and wish.list_id is not None:
        return fkey_subject(wish.list_id, wish.fkey)
    mobile = wish.mobile
    canonical = canonical_address(wish.email or "") if mobile is None else canonical_mobile(mobile, country)
    return address_subject(address_key(pepper, account_id, wish.channel, canonical))


def wrong_address(wish: Wish, wrong: InvalidAddress) -> Wrong:
    """The fault of an address or a number that cannot be read."""
    return Wrong("mobile" if wish.mobile is not None else "email", wrong.code, wrong.detail)


def named(found: Sequence[Wrong]) -> str:
    """The faulty fields in a sentence."""
    return "wrong: " + ", ".join(dict.fromkeys(w.name for w in found))
