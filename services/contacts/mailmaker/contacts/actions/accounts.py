"""contacts.actions.accounts: opens accounts and changes their state."""

from __future__ import annotations

import secrets
from dataclasses import replace
from uuid import UUID

from mailmaker.common.contracts.accounts import AccountChanged, ApiKeyChanged
from mailmaker.common.storage.ids import new_id
from mailmaker.common.storage.keyset import Page, decode_cursor, encode_cursor
from mailmaker.common.web.call import Call
from mailmaker.common.web.scopes import SCOPES
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.shapes import AccountChange, AccountView, AccountWish, NewAccountView
from mailmaker.contacts.domain.accounts import (
    SECRET_BYTES,
    Account,
    AccountState,
    ApiKey,
    key_hash,
    key_of,
    may_become,
    moved,
)
from mailmaker.contacts.errors import NoSuchThing, WrongState
from mailmaker.contacts.storage import accounts


async def open_account(house: Contacts, call: Call, wish: AccountWish) -> NewAccountView:
    """Opens an account and its first key, which holds every scope and is shown only in this answer."""
    now = house.clock.now()
    text = key_of(secrets.token_bytes(SECRET_BYTES))
    async with house.db.write(call, "account.opened") as tx:
        if (first := tx.replayed(NewAccountView)) is not None:
            return first
        account_id = new_id()
        number = await accounts.next_number(tx, "account_number")
        version = await accounts.next_number(tx, "key_changes", 2)
        account = Account(account_id, number, wish.name, AccountState.OPEN, now, version)
        key = ApiKey(
            account_id, new_id(), "first key", text[:12], tuple(SCOPES), None, now, None, None, version + 1
        )
        await accounts.insert_account(tx, account)
        await accounts.insert_key(tx, key, key_hash(text))
        tx.subject(account_id)
        tx.stage(account_event(account, now), key_event(key, key_hash(text), now))
        answer: NewAccountView = NewAccountView.of(account, key=text, key_id=key.id)
        return await tx.keep(answer, secrets=("key",))


async def change_account(house: Contacts, call: Call, account_id: UUID, change: AccountChange) -> AccountView:
    """Renames an account, moves it between open, suspended and closed, sets how many lists it may have: fewer than it
    has closes none. Raises WrongState after closing."""
    async with house.db.write(call, "account.changed") as tx:
        account = await accounts.account(tx, account_id, lock=True)
        if account is None:
            raise NoSuchThing("no such account")
        state = AccountState(change.state or account.state)
        if not may_become(account.state, state):
            raise WrongState(f"an account that is {account.state} cannot become {state}")
        most = account.most_lists if change.most_lists is None else change.most_lists
        account = moved(account, state, house.clock.now())
        account = replace(account, name=change.name or account.name, most_lists=most)
        account = replace(account, version=await accounts.next_number(tx, "key_changes"))
        await accounts.update_account(tx, account)
        tx.subject(account_id)
        tx.stage(account_event(account, house.clock.now()))
        view: AccountView = AccountView.of(account)
        return view


async def see_account(house: Contacts, call: Call, account_id: UUID) -> AccountView:
    """An account: the caller's own, or any for the operator."""
    if not call.operator and account_id != call.account_id:
        raise NoSuchThing("no such account")
    async with house.db.account(account_id) as tx:
        account = await accounts.account(tx, account_id)
    if account is None:
        raise NoSuchThing("no such account")
    view: AccountView = AccountView.of(account)
    return view


async def see_accounts(house: Contacts, limit: int, cursor: str | None) -> Page[AccountView]:
    """Every account by its number: for the operator."""
    after = int(decode_cursor(cursor)[0]) if cursor else 0
    async with house.db.platform() as tx:
        found = await accounts.accounts_after(tx, after, limit + 1)
    more = encode_cursor(found[limit - 1].number) if len(found) > limit else None
    return Page(items=[AccountView.of(a) for a in found[:limit]], next=more)


def account_event(account: Account, at: object) -> AccountChanged:
    return AccountChanged.model_validate(
        {
            "account_id": account.account_id,
            "occurred_at": at,
            "number": account.number,
            "name": account.name,
            "state": str(account.state),
            "version": account.version,
        }
    )


def key_event(key: ApiKey, secret_hash: bytes, at: object) -> ApiKeyChanged:
    return ApiKeyChanged.model_validate(
        {
            "account_id": key.account_id,
            "occurred_at": at,
            "key_id": key.id,
            "secret_hash": secret_hash.hex(),
            "scopes": key.scopes,
            "revoked": key.revoked_at is not None,
            "version": key.version,
        }
    )
