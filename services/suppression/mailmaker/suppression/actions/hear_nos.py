"""suppression.actions.hear_nos: "no"s that another house heard and committed, handed over until we have answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from mailmaker.common.contracts import internal
from mailmaker.common.mail.subjects import address_subject, contact_subject, fkey_subject
from mailmaker.common.storage.engine import Database
from mailmaker.common.web.internal import Unreachable
from mailmaker.suppression.actions.ask_contacts import AskContacts, person_subjects
from mailmaker.suppression.actions.bell import Bell
from mailmaker.suppression.actions.figures import Figures
from mailmaker.suppression.actions.record import record
from mailmaker.suppression.domain.no import No
from mailmaker.suppression.domain.reasons import RULES
from mailmaker.suppression.storage import entries

PATIENCE = 0.5


@dataclass(frozen=True, slots=True)
class HearNos:
    """The doors of other houses. Idempotent by each item's id."""

    db: Database
    contacts: AskContacts
    bell: Bell
    figures: Figures

    async def hear(self, items: Sequence[internal.No]) -> tuple[UUID, ...]:
        """Records them, one commit an account. Returns the ids accepted, also of those that say nothing about anybody.

        Where one says that its person was erased, what every earlier "no" of that person kept as evidence goes too.
        """
        by_account: dict[UUID, list[No]] = {}
        for no in await self._completed([no for item in items if (no := as_no(item)) is not None]):
            by_account.setdefault(no.account_id, []).append(no)
        for account_id, nos in sorted(by_account.items()):
            async with self.db.account(account_id) as tx:
                await record(tx, nos)
                erased = {key for no in nos if no.reason == "erased" for key in (no.named, *no.others)}
                if erased:
                    await entries.forget_evidence(tx, sorted(erased))
            self.bell.ring_feed()
            if any(no.incomplete for no in nos):
                self.bell.ring_incomplete()
        for item in items:
            self.figures.received(item.door)
        return tuple(item.id for item in items)

    async def _completed(self, nos: Sequence[No]) -> list[No]:
        """With list and address keys where contacts names them in time; the others go in by contact id."""
        tasks = [asyncio.create_task(self._complete(no)) for no in nos]
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [no if task.cancelled() else task.result() for task, no in zip(tasks, nos, strict=True)]

    async def _complete(self, no: No) -> No:
        if not no.incomplete or no.contact_id is None:
            return no
        try:
            row = await self.contacts.contact(no.contact_id, PATIENCE)
        except Unreachable:
            return no
        if row is None or row.account_id != no.account_id:
            return replace(no, incomplete=False)
        keys = dict.fromkeys((*no.others, *person_subjects(row, no.channel)))
        list_id = row.list_id if no.scope == "list" else None
        return replace(no, list_id=list_id, others=tuple(keys), incomplete=False)


def as_no(item: internal.No) -> No | None:
    """What the item says, by every key it carries. None: it names nobody."""
    address = () if item.address_key is None else (address_subject(bytes.fromhex(item.address_key)),)
    contact = () if item.contact_id is None else (contact_subject(item.contact_id),)
    fkey = () if item.fkey is None or item.list_id is None else (fkey_subject(item.list_id, item.fkey),)
    subjects = (*contact, *address, *fkey)
    if not subjects:
        return None
    scope = item.scope or RULES[item.reason].scope
    if scope == "list" and item.list_id is None and item.contact_id is None:
        scope = "account"  # Which list is not known and cannot be asked: rather too much than too little.
    mailing = {} if item.mailing_number is None else {"mailing_number": str(item.mailing_number)}
    return No(
        id=item.id,
        account_id=item.account_id,
        channel=item.channel,
        scope=scope,
        list_id=item.list_id if scope == "list" else None,
        named=subjects[0],
        door=item.door,
        reason=item.reason,
        received_at=item.received_at,
        others=subjects[1:],
        contact_id=item.contact_id,
        incomplete=bool(contact) and not address and not item.whole,
        evidence={**item.evidence, **mailing},
    )
