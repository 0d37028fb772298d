"""suppression.actions.release_by_file: an import that states a lawful basis lifts opt-outs of its list, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.internal import Release
from mailmaker.common.storage.engine import Database, Transaction
from mailmaker.suppression.actions.bell import Bell
from mailmaker.suppression.actions.record import publish
from mailmaker.suppression.domain.release import liftable, lifted
from mailmaker.suppression.storage import ledger, releasing
from mailmaker.suppression.storage.feed import Line
from mailmaker.suppression.storage.releasing import InForce


async def release_by_file(db: Database, bell: Bell, items: Sequence[Release]) -> tuple[UUID, ...]:
    """Lifts what may be lifted, one commit an account, and tells the feed. Returns which opt-outs that were; what
    stands, or was released before, is passed over, so that a repetition changes nothing.

    The same may have been said at several doors, by a link and by an opt-out file: who asks knows the newest entry of each
    key. The others go with it, as far as they may be lifted themselves."""
    by_account: dict[UUID, list[Release]] = {}
    for item in items:
        by_account.setdefault(item.account_id, []).append(item)
    done: list[UUID] = []
    for account_id, asked in sorted(by_account.items()):
        async with db.account(account_id) as tx:
            done += await _of_account(tx, {item.suppression_id: item for item in asked})
        bell.ring_feed()
    return tuple(done)


async def _of_account(tx: Transaction, asked: Mapping[UUID, Release]) -> list[UUID]:
    asked = {**{id: asked[of] for id, of in (await releasing.beside(tx, list(asked))).items()}, **asked}
    seen = await releasing.in_force(tx, list(asked))
    await ledger.lock_subjects(tx, [key for entry in seen.values() for key in entry.subjects])
    # Read again under the locks: a "no" may have been said meanwhile.
    entries = {
        id: entry
        for id, entry in (await releasing.in_force(tx, list(seen))).items()
        if liftable(entry.facts, asked[id].list_id, asked[id].not_after)
    }
    if not entries:
        return []
    written = await releasing.release_all(
        tx, [(id, asked[id].basis, asked[id].sent_by, asked[id].evidence) for id in entries]
    )
    held, still = await releasing.lift_all(tx, list(written))
    lines = [
        _line(entries[id], list_id, subjects, written[id])
        for id, places in held.items()
        for list_id, subjects in lifted(places, still).items()
    ]
    await publish(tx, lines)
    return list(written)


def _line(of: InForce, list_id: UUID | None, subjects: tuple[bytes, ...], at: datetime) -> Line:
    return Line(
        of.id,
        of.channel,
        of.facts.scope,
        list_id,
        subjects,
        of.contact_id,
        of.reason,
        of.door,
        of.received_at,
        at,
        released=True,
    )
