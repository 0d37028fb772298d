"""contacts.actions.house: what the actions stand on; constructed by main, handed in by the doors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from mailmaker.common.feed import FeedFollower
from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.common.web.internal import InternalClient

MOST_COUNTS = 3
"""Segments evaluated for clients at once by one process: each takes a connection, and more of PostgreSQL than others."""


@dataclass(frozen=True, slots=True)
class Contacts:
    """The house: its database, its clock, the pepper of address keys, and the houses it asks."""

    db: Database
    clock: Clock
    pepper: bytes
    ingest: InternalClient
    feed: FeedFollower
    dispatch: InternalClient
    import_waits: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when an import may be due, so that its worker does not wait for its next look."""
    feed_waits: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when suppression says that there is a new "no"."""
    export_waits: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when an export was asked for."""
    account_grace: timedelta = timedelta(days=30)
    """How long the data of a closed account is kept, and its closing can be taken back."""
    export_kept: timedelta = timedelta(days=7)
    """How long the file of an export is there."""
    archives: Mapping[str, InternalClient] = field(default_factory=dict)
    """The houses that an account's export gathers from, by the names of contracts.archives."""
    counting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_COUNTS))
    """Held while a segment's rule is being evaluated for a client."""
