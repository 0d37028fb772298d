"""suppression.actions.complete: entries recorded by contact id alone get list and address keys when contacts answers."""

from __future__ import annotations

import asyncio
from datetime import datetime

from mailmaker.common.contracts.internal import ContactRow
from mailmaker.common.mail.subjects import contact_subject
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.common.web.internal import Unreachable
from mailmaker.suppression.actions.ask_contacts import TOGETHER, AskContacts, person_subjects
from mailmaker.suppression.actions.bell import Bell, until
from mailmaker.suppression.actions.record import publish
from mailmaker.suppression.domain.no import No
from mailmaker.suppression.storage import completing, journals, ledger
from mailmaker.suppression.storage.completing import Due, Taken
from mailmaker.suppression.storage.feed import Line

EVERY = 0.5
BATCH = 200
PATIENCE = 2.0


class Complete:
    """A worker. The entry is in force by contact id from its first second; this adds the keys the same person has."""

    name = "complete"

    def __init__(self, db: Database, contacts: AskContacts, bell: Bell) -> None:
        self._db = db
        self._contacts = contacts
        self._bell = bell

    async def run(self, stop: asyncio.Event) -> None:
        rung = self._bell.incomplete()
        while not stop.is_set():
            rung.clear()
            try:
                more = await self.round() == BATCH
            except StorageUnavailable:
                more = False
            if not more and not stop.is_set():
                await until(rung, EVERY)

    async def round(self) -> int:
        """Asks for every entry that is due. Returns how many there were."""
        async with self._db.platform() as tx:
            due = await completing.due(tx, BATCH)
        for start in range(0, len(due), TOGETHER):
            await asyncio.gather(*map(self._one, due[start : start + TOGETHER]))
        return len(due)

    async def _one(self, due: Due) -> None:
        try:
            row = await self._contacts.contact(due.contact_id, PATIENCE)
        except Unreachable:
            async with self._db.account(due.account_id) as tx:
                await completing.try_later(tx, due)
            return
        await self._finish(due, row if row is not None and row.account_id == due.account_id else None)

    async def _finish(self, due: Due, row: ContactRow | None) -> None:
        await self._take(due, row)
        self._bell.ring_feed()
        # Its enforcement may have come already, and counts only now that the entry is whole.
        self._bell.ring_entries([due.suppression_id])

    async def _take(self, due: Due, row: ContactRow | None) -> None:
        async with self._db.account(due.account_id) as tx:
            await ledger.lock_subjects(tx, [contact_subject(due.contact_id), *_keys(row)])
            entry = await completing.take(tx, due)
            if entry is None or row is None or entry.released:
                return
            no = _no(entry, due, row)
            stands = await ledger.of_entry(tx, entry.id)
            missing = tuple(s for s in no.others if no.place(s).identity() not in stands)
            if missing:
                await ledger.join(tx, entry.id, missing, row.list_id)
                await publish(tx, [_line(no, entry, missing, await journals.clock(tx))])


def _keys(row: ContactRow | None) -> tuple[bytes, ...]:
    return () if row is None else (*person_subjects(row, "email"), *person_subjects(row, "sms"))


def _no(entry: Taken, due: Due, row: ContactRow) -> No:
    return No(
        id=entry.id,
        account_id=due.account_id,
        channel=entry.channel,
        scope=entry.scope,
        list_id=row.list_id,
        named=contact_subject(due.contact_id),
        door=entry.door,
        reason=entry.reason,
        received_at=entry.received_at,
        others=person_subjects(row, entry.channel),
        contact_id=due.contact_id,
    )


def _line(no: No, entry: Taken, missing: tuple[bytes, ...], at: datetime) -> Line:
    return Line(
        entry.id,
        no.channel,
        no.scope,
        None if no.scope == "account" else no.list_id,
        missing,
        no.contact_id,
        no.reason,
        no.door,
        no.received_at,
        at,
        later=entry.again,
    )
