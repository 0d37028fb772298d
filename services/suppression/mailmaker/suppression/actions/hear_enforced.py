"""suppression.actions.hear_enforced: dispatch's word that no send to a line of the feed begins any more."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.contracts.internal import Enforcement
from mailmaker.common.storage.engine import Database
from mailmaker.suppression.actions.bell import Bell
from mailmaker.suppression.actions.figures import Figures
from mailmaker.suppression.storage import enforced


async def hear_enforced(
    db: Database, bell: Bell, figures: Figures, items: Sequence[Enforcement]
) -> list[UUID]:
    """Writes each down once and wakes who waits for it. A repetition changes nothing. Returns the entries told about."""
    async with db.platform() as tx:
        latencies = await enforced.keep(tx, items)
    for one in latencies:
        figures.enforced(one.door, (one.enforced_at - one.recorded_at).total_seconds())
    told = sorted({item.suppression_id for item in items})
    bell.ring_entries(told)
    return told
