"""suppression.actions.release: takes back a "no" that may be taken back."""

from __future__ import annotations

from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.web.call import Call
from mailmaker.suppression.actions.bell import Bell
from mailmaker.suppression.actions.record import publish
from mailmaker.suppression.domain.entry import Entry
from mailmaker.suppression.domain.release import lifted, only_by_person
from mailmaker.suppression.errors import NoSuchSuppression, OnlyByPerson, ReleasedBefore
from mailmaker.suppression.storage import entries, ledger, releasing
from mailmaker.suppression.storage.feed import Line


async def release(db: Database, bell: Bell, call: Call, id: UUID, reason: str) -> Entry:
    """Writes the release, clears the state and tells the feed of the keys that no other entry holds.

    Raises NoSuchSuppression, OnlyByPerson, ReleasedBefore.
    """
    async with db.write(call, "suppression.released") as tx:
        tx.subject(id)
        entry = (await entries.by_ids(tx, [id])).get(id)
        if entry is None or (call.list_ids is not None and entry.list_id not in call.list_ids):
            raise NoSuchSuppression("the account has no such suppression")
        if only_by_person(entry.reason):
            raise OnlyByPerson(f"its reason is {entry.reason}: only the person can take it back")
        await ledger.lock_subjects(tx, await releasing.subjects_of(tx, id))
        held = await releasing.held(tx, id)
        at = await releasing.release(tx, id, reason, call.key_id)
        if at is None:
            raise ReleasedBefore("it was released before")
        free = lifted(held, await releasing.held_by_others(tx, id, [place.subject for place in held]))
        await publish(
            tx,
            [
                Line(
                    id,
                    entry.channel,
                    entry.scope,
                    list_id,
                    subjects,
                    entry.contact_id,
                    entry.reason,
                    entry.door,
                    entry.received_at,
                    at,
                    released=True,
                )
                for list_id, subjects in free.items()
            ],
        )
    bell.ring_feed()
    return (await _read(db, call, id))[id]


async def _read(db: Database, call: Call, id: UUID) -> dict[UUID, Entry]:
    async with db.account(call.account_id) as tx:
        return await entries.by_ids(tx, [id])
