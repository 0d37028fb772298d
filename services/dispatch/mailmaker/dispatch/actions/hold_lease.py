"""dispatch.actions: a relay's lease: taken, renewed, given up."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.domain.leases import LEASE_SECONDS, Lease
from mailmaker.dispatch.storage import paths, relays
from mailmaker.dispatch.storage.returns import give_back


def place() -> str:
    """Which kernel and which process numbers this process shares with others; empty where that is not told."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return ""


def known_dead(its_place: str, pid: int) -> bool:
    """Whether a process is seen not to be there: its kernel has closed its connections. One that is elsewhere is not."""
    if not its_place or its_place != place():
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return not Path(f"/proc/{pid}").exists()
    return state in ("Z", "X")


async def take_lease(db: Database, clock: Clock, closed: Sequence[int] = ()) -> Lease:
    """A new fence with a lease, counted from before it was asked for. `closed`: fences whose connections this process has
    closed, which it may not have been able to say."""
    asked = clock.boot()
    async with db.platform() as tx:
        await paths.forget(tx, closed)
        fence = await relays.take(tx, LEASE_SECONDS, socket.gethostname(), os.getpid(), place())
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
        await paths.forget(tx, [lease.fence])
    return len(queued)
