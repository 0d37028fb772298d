"""dispatch.actions: keeps the copy of lists: from contacts' events, and by asking when a list must be known now."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.contracts.contacts import ListChanged
from mailmaker.common.contracts.internal import ListRow
from mailmaker.common.storage.engine import Database, Heard
from mailmaker.common.web.internal import InternalClient, Unreachable
from mailmaker.dispatch.domain.sending import MailList
from mailmaker.dispatch.storage import lists


async def hear_list(db: Database, event: ListChanged, heard: Heard) -> None:
    """Takes contacts' word on a list, if it is newer than what is known."""
    async with db.heard(heard, event.account_id) as tx:
        await lists.save(tx, _from_event(event))


async def ask_lists(
    db: Database, contacts: InternalClient, account_id: UUID, list_ids: Sequence[UUID], *, fresh: bool
) -> dict[UUID, MailList]:
    """Those of the lists that exist. Unknown ones are asked of contacts; with `fresh`, all are: what contacts has
    answered to a client counts at once, whether or not its event has arrived. Known ones bridge contacts' silence."""
    async with db.account(account_id) as tx:
        known = await lists.some(tx, account_id, list_ids)
    found: dict[UUID, MailList] = {}
    for list_id in list_ids:
        if list_id in known and not fresh:
            continue
        try:
            row = await contacts.get(f"/internal/lists/{list_id}", ListRow)
        except Unreachable:
            if list_id not in known:
                raise
            continue
        if row is not None and row.account_id == account_id:
            found[list_id] = _from_row(row)
        else:
            known.pop(list_id, None)
    if found:
        async with db.account(account_id) as tx:
            for list_id in sorted(found):
                await lists.save(tx, found[list_id])
    return known | found


def _from_event(event: ListChanged) -> MailList:
    return MailList(
        account_id=event.account_id,
        list_id=event.list_id,
        name=event.name,
        key_kind=event.key_kind,
        caps=event.caps.model_dump(),
        timezone=event.timezone,
        controller=event.controller.model_dump(),
        closed=event.closed,
        version=event.version,
    )


def _from_row(row: ListRow) -> MailList:
    return MailList(
        account_id=row.account_id,
        list_id=row.list_id,
        name=row.name,
        key_kind=row.key_kind,
        caps=row.caps.model_dump(),
        timezone=row.timezone,
        controller=row.controller.model_dump(),
        closed=row.closed,
        version=row.version,
    )
