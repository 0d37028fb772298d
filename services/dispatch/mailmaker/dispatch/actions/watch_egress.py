"""dispatch.actions: what a relay must know to lead mail out: ways, lanes with something due, paths that are held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.dispatch.domain.egress import Egress
from mailmaker.dispatch.domain.leading import PathKey
from mailmaker.dispatch.domain.running import RunningMailing
from mailmaker.dispatch.storage import egress, paths, sites


@dataclass(frozen=True, slots=True)
class Outlook:
    """The ways out of accounts that have pools, the lanes of their mailings in which something is due, the paths that
    somebody holds, and how many relays share them."""

    egress: Mapping[UUID, Egress]
    due: frozenset[tuple[UUID, str]]
    held: frozenset[PathKey]
    relays: int


async def look_out(db: Database, mailings: Sequence[RunningMailing]) -> Outlook:
    """One look, about the mailings that leave by pools."""
    accounts = sorted({mailing.account_id for mailing in mailings})
    async with db.platform() as tx:
        found = await egress.of_accounts(tx, accounts)
        ids = [m.id for m in mailings if m.account_id in found and found[m.account_id].by_lane]
        due = await sites.due_lanes(tx, accounts, ids) if ids else set()
        held, relays = await paths.held(tx)
    return Outlook(found, frozenset(due), frozenset(held), relays)


async def take_paths(db: Database, wanted: Mapping[PathKey, int], fence: int) -> dict[PathKey, int]:
    """Takes paths that nobody holds. Returns those taken, with the connections that may be opened."""
    async with db.platform() as tx:
        return await paths.take(tx, wanted, fence)


async def grant_paths(db: Database, held: Mapping[PathKey, int], fence: int) -> dict[PathKey, int]:
    """The connections that may be open now on paths that are held."""
    async with db.platform() as tx:
        return await paths.grant(tx, held, fence)


async def release_paths(db: Database, keys: Sequence[PathKey], fence: int) -> None:
    """Gives paths up whose connections are closed."""
    async with db.platform() as tx:
        await paths.release(tx, keys, fence)
