"""contacts.domain.lifting: which opt-outs an import with a stated lawful basis asks suppression to lift."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from mailmaker.common.mail.address import Channel
from mailmaker.contacts.domain.plans import Counts, Options

LIFTABLE = "unsubscribe"
"""The one reason that is lifted, and only where it is about the import's own list. suppression has the last word."""


def not_after(options: Options) -> datetime | None:
    """A "no" said later stands: the file, and the consent that it tells of, are older. None: nothing is lifted."""
    if options.basis is None or options.received_at is None:
        return None
    consented = options.basis.consented_at
    return options.received_at if consented is None else min(options.received_at, consented)


def channels(options: Options) -> list[Channel]:
    """The channels that the file has an address column for: it says nothing of the others."""
    columns: tuple[tuple[Channel, str], ...] = (("email", "email"), ("sms", "mobile"))
    return [channel for channel, column in columns if column in options.fields]


def with_lifted(counts: Counts, *, created: int, updated: int) -> Counts:
    """The counts when rows that were protected are none any more: new contacts, and known ones."""
    return replace(
        counts,
        created=counts.created + created,
        updated=counts.updated + updated,
        protected=counts.protected - created - updated,
    )
