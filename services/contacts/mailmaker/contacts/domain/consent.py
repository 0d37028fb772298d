"""contacts.domain.consent: who may be written to, and what may change it."""

from __future__ import annotations

from enum import StrEnum

WITHDRAWING = frozenset({"unsubscribe", "complaint", "manual", "erased"})
"""Reasons of a "no" that are a person's word. The others (a mailbox that does not exist) say nothing of consent:
they are deliverability, which suppression and dispatch look after."""

PERSONAL = WITHDRAWING - {"manual"}
"""Those that nobody but the person takes back."""


class Consent(StrEnum):
    """A contact's word on one channel."""

    SUBSCRIBED = "subscribed"
    PENDING = "pending"
    UNSUBSCRIBED = "unsubscribed"


_RANK = {Consent.UNSUBSCRIBED: 0, Consent.PENDING: 1, Consent.SUBSCRIBED: 2}


def at_most(current: Consent, wished: Consent | None) -> Consent:
    """The consent after a write that may lower it and never raises it: an import, an upsert, a PATCH.

    Only a confirmed opt-in, or the release of the very "no" that lowered it, raises a consent.
    """
    if wished is None or _RANK[wished] >= _RANK[current]:
        return current
    return wished


def at_birth(wished: Consent, *, meets_a_no: bool) -> Consent:
    """The consent of a new row: what the client says, unless a "no" or a tombstone waits for its address."""
    return Consent.UNSUBSCRIBED if meets_a_no else wished


def withdraws(reason: str) -> bool:
    """Whether a "no" with this reason makes matching contacts unsubscribed."""
    return reason in WITHDRAWING


def outweighs(reason: str, held: str, *, released: bool) -> bool:
    """Whether the newer word of a key takes the place of the one that is `held` there, by its reason, and not `released`.
    Where a mailbox was found to be gone, what its owner said before still holds."""
    return released or withdraws(reason) or not withdraws(held)


def opted_out(email: Consent, sms: Consent) -> bool:
    """Whether a contact counts as protected when a file names it: somebody once said "no" for it."""
    return Consent.UNSUBSCRIBED in (email, sms)


def raises(current: Consent, wished: Consent | None) -> bool:
    """Whether a write asks for more consent than the contact has given."""
    return wished is not None and _RANK[wished] > _RANK[current]
