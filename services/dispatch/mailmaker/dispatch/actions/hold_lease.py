"""dispatch.actions: a relay's lease: taken, renewed, given up."""

from __future__ import annotations

import os
import socket

from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.domain.leases import LEASE_SECONDS, Lease
from mailmaker.dispatch.storage import relays
from mailmaker.dispatch.storage.returns import give_back


async def take_lease(db: Database, clock: Clock) -> Lease:
    """A new fence with a lease, counted from before it was asked for."""
    asked = clock.boot()
    async with db.platform() as tx:
        fence = await relays.take(tx, LEASE_SECONDS, socket.gethostname(), os.getpid())
    return Lease.asked(fence, asked)


async def renew_lease(db: Database, clock: Clock, lease: Lease) -> bool:
    """Lengthens the lease. False: it has run out, and what it held may be somebody else's."""
    asked = clock.boot()
    async with db.platform() as tx:
        kept = await relays.renew(tx, lease.fence, LEASE_SECONDS)
    if kept:
        lease.renewed(asked)
    return kept


async def leave(db: Database, lease: Lease) -> int:
    """The relay ends: nobody need wait for its lease to run out. Returns how many messages went back in line."""
    async with db.platform() as tx:
        rows = await relays.abandon(tx, lease.fence)
        queued = [row for row in rows if row["state"] == "queued"]
        await give_back(tx, queued)
        await relays.leave(tx, lease.fence)
    return len(queued)
