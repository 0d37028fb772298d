"""contacts.actions.export_account: all that this house keeps of an account, as one file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.export_shapes import ExportError
from mailmaker.contacts.actions.exports import bytes_of
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.domain.exports import MOST_WAITING, Export, ExportState, ExportWish
from mailmaker.contacts.errors import NoExportFile, NoSuchThing, TooManyExports
from mailmaker.contacts.storage import accounts, exports
from pydantic import BaseModel


class AccountExportView(BaseModel):
    """An account's export. `ready`: a zip of JSON lines is at `download_url` until `expires_at`."""

    id: UUID
    account: UUID
    state: ExportState
    size: int | None
    download_url: str | None
    error: ExportError | None
    created_at: datetime
    ready_at: datetime | None
    expires_at: datetime | None

    @classmethod
    def of(cls, it: Export) -> AccountExportView:
        ready = it.state is ExportState.READY
        return cls(
            id=it.id,
            account=it.account_id,
            state=it.state,
            size=it.size if ready else None,
            download_url=f"/v1/accounts/{it.account_id}/exports/{it.id}/file" if ready else None,
            error=None if it.error is None else ExportError(code=it.error[0], detail=it.error[1]),
            created_at=it.created_at,
            ready_at=it.ready_at,
            expires_at=it.expires_at,
        )


async def ask_account_export(house: Contacts, call: Call, account_id: UUID) -> AccountExportView:
    """Puts the export of an account into the queue, its own or any for the operator. Raises TooManyExports."""
    now = house.clock.now()
    async with house.db.write(call, "account.export_asked") as tx:
        if (first := tx.replayed(AccountExportView)) is not None:
            return first
        _check(call, account_id)
        account = await accounts.account(tx, account_id, lock=True)
        if account is None:
            raise NoSuchThing("no such account")
        if await exports.waiting(tx, account_id) >= MOST_WAITING:
            raise TooManyExports(
                f"{MOST_WAITING} exports of the account wait already; try again when one is ready"
            )
        wish = ExportWish("zip")
        it = Export(
            account_id, new_id(), None, wish, ExportState.WAITING, 0, 0, 1, 0, None, None, now, None, None
        )
        await exports.insert(tx, it)
        tx.subject(it.id)
        answer = await tx.keep(AccountExportView.of(it))
    house.export_waits.set()
    return answer


async def see_account_export(
    house: Contacts, call: Call, account_id: UUID, export_id: UUID
) -> AccountExportView:
    return AccountExportView.of(await _export(house, call, account_id, export_id))


async def account_file(
    house: Contacts, call: Call, account_id: UUID, export_id: UUID
) -> tuple[Export, AsyncIterator[bytes]]:
    """A finished export and the bytes of its file. Raises NoExportFile when there is none."""
    it = await _export(house, call, account_id, export_id)
    if it.state is not ExportState.READY:
        raise NoExportFile(f"the export is {it.state}: {it.error[1] if it.error else 'there is no file'}")
    return it, bytes_of(house, it)


async def _export(house: Contacts, call: Call, account_id: UUID, export_id: UUID) -> Export:
    _check(call, account_id)
    async with house.db.account(account_id) as tx:
        it = await exports.one(tx, account_id, None, export_id)
    if it is None:
        raise NoSuchThing("no such export")
    return it


def _check(call: Call, account_id: UUID) -> None:
    """A key that is limited to some lists may not take all of them out."""
    if not call.operator and (account_id != call.account_id or call.list_ids is not None):
        raise NoSuchThing("no such account")
