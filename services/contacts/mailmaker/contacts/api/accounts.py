"""contacts.api.accounts: accounts (operator) and API keys (clients)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from mailmaker.common.storage.keyset import Page
from mailmaker.common.web.auth import may, may_operate, may_or_operate
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions import accounts, close_account, export_account, keys
from mailmaker.contacts.actions.export_account import AccountExportView
from mailmaker.contacts.actions.shapes import (
    AccountChange,
    AccountView,
    AccountWish,
    KeyView,
    KeyWish,
    NewAccountView,
    NewKeyView,
)
from mailmaker.contacts.api.doors import House, Limit, file_answer

router = APIRouter(tags=["accounts"])


@router.post("/v1/accounts", status_code=201)
async def open_account(
    house: House, call: Annotated[Call, may_operate()], wish: AccountWish
) -> NewAccountView:
    """Opens an account. Its first key is in this answer, once."""
    return await accounts.open_account(house, call, wish)


@router.get("/v1/accounts")
async def see_accounts(
    house: House, call: Annotated[Call, may_operate()], limit: Limit = 100, cursor: str | None = None
) -> Page[AccountView]:
    """Every account, by its number."""
    return await accounts.see_accounts(house, limit, cursor)


@router.get("/v1/accounts/{account_id}")
async def see_account(
    house: House, call: Annotated[Call, may_or_operate("account:read")], account_id: UUID
) -> AccountView:
    """An account: any for the operator, its own for a client."""
    return await accounts.see_account(house, call, account_id)


@router.patch("/v1/accounts/{account_id}")
async def change_account(
    house: House, call: Annotated[Call, may_operate()], account_id: UUID, change: AccountChange
) -> AccountView:
    """Renames, suspends, reopens or closes an account, sets its quota of lists. Suspended: nothing is sent, nothing can
    be changed."""
    return await accounts.change_account(house, call, account_id, change)


@router.post("/v1/accounts/{account_id}:export", status_code=202)
async def export(
    house: House, call: Annotated[Call, may_or_operate("account:write")], account_id: UUID
) -> AccountExportView:
    """Writes all that the platform keeps of an account into a zip of JSON lines, a file for each kind of thing. Poll it
    until it is `ready`. No secret is in it. People are named in `contacts` and `history`; the files of other parts have
    their contact's id.

    - `account`, `api_keys`, `lists`, `fields`, `segments`, `imports` (their plans and counts), `contacts` with their
      consents, `history`
    - `ingest/`: `imports` as they were sent, `profiles`, `drops`, `drop_files`, `pgp_keys` (public parts)
    - `dispatch/`: `domains`, `senders`, `pools`, `sources`, `routes`, `templates`, `mailings` with their counts, `messages`:
      one line for each recipient of each mailing, with its outcome or why there is none
    - `suppression/`: `suppressions`, every "no" with its evidence, what it stopped and whether it was released; `repeats`
    - `fbl/`: `reports`: bounces, complaints, unsubscribe mail

    Each part of the platform is read in one snapshot of its own. While one of them does not answer, the export waits and
    is tried again: what is `ready` is complete. One that waited a day is `failed` with `export.house_away`."""
    return await export_account.ask_account_export(house, call, account_id)


@router.get("/v1/accounts/{account_id}/exports/{export_id}")
async def see_export(
    house: House, call: Annotated[Call, may_or_operate("account:write")], account_id: UUID, export_id: UUID
) -> AccountExportView:
    """How the export of an account goes on, and where its file is."""
    return await export_account.see_account_export(house, call, account_id, export_id)


@router.get("/v1/accounts/{account_id}/exports/{export_id}/file", response_class=StreamingResponse)
async def download_export(
    house: House, call: Annotated[Call, may_or_operate("account:write")], account_id: UUID, export_id: UUID
) -> StreamingResponse:
    """The file of an account's export that is ready."""
    it, pieces = await export_account.account_file(house, call, account_id, export_id)
    return file_answer(it, pieces, "account")


@router.post("/v1/accounts/{account_id}:close")
async def close(
    house: House, call: Annotated[Call, may_or_operate("account:write")], account_id: UUID
) -> AccountView:
    """Closes an account: within seconds its keys open nothing, nothing is sent and nothing written. A "no" is still taken,
    and every one stays. The data is removed after the platform's grace; until then the operator can reopen it."""
    return await close_account.close_account(house, call, account_id)


@router.post("/v1/accounts/{account_id}:reopen")
async def reopen(house: House, call: Annotated[Call, may_operate()], account_id: UUID) -> AccountView:
    """Takes the closing of an account back, as long as nothing has been removed."""
    return await close_account.reopen_account(house, call, account_id)


@router.post("/v1/api-keys", status_code=201)
async def issue_key(house: House, call: Annotated[Call, may("keys:write")], wish: KeyWish) -> NewKeyView:
    """Issues a key with at most the scopes and lists of the asking key. It is in this answer, once."""
    return await keys.issue_key(house, call, wish)


@router.get("/v1/api-keys")
async def see_keys(
    house: House, call: Annotated[Call, may("keys:read")], limit: Limit = 100, cursor: str | None = None
) -> Page[KeyView]:
    """The account's keys, revoked ones too, without their secrets."""
    return await keys.see_keys(house, call, limit, cursor)


@router.delete("/v1/api-keys/{key_id}", status_code=204)
async def revoke_key(house: House, call: Annotated[Call, may("keys:write")], key_id: UUID) -> None:
    """Revokes a key, everywhere within seconds."""
    await keys.revoke_key(house, call, key_id)
