"""contacts.actions.close_account: closes an account, takes a closing back within its grace, removes its data after it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import replace
from uuid import UUID

from mailmaker.common.contracts.accounts import AccountEmptied
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.emptying import empty_tables
from mailmaker.common.storage.engine import StorageUnavailable, Transaction
from mailmaker.common.web.call import Call
from mailmaker.contacts.actions.accounts import account_event
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.shapes import AccountView
from mailmaker.contacts.domain.accounts import Account, AccountState, may_reopen, moved
from mailmaker.contacts.errors import NoSuchThing, WrongState
from mailmaker.contacts.storage import accounts, emptying

EVERY = 600.0
LOOKS = 10
"""So often in a grace that is shorter than usual."""


async def close_account(house: Contacts, call: Call, account_id: UUID) -> AccountView:
    """From the commit on, and within seconds in every house: no key opens a door but to record a "no", nothing is claimed
    or written. The data goes after the grace; every "no" stays. A second closing changes nothing."""
    return await _move(house, call, account_id, AccountState.CLOSED, "account.closed")


async def reopen_account(house: Contacts, call: Call, account_id: UUID) -> AccountView:
    """Takes a closing back. Raises WrongState when its grace is over, or the account is not closed."""
    return await _move(house, call, account_id, AccountState.OPEN, "account.reopened")


async def _move(house: Contacts, call: Call, account_id: UUID, state: AccountState, verb: str) -> AccountView:
    now = house.clock.now()
    async with house.db.write(call, verb) as tx:
        if (first := tx.replayed(AccountView)) is not None:
            return first
        account = await _held(tx, call, account_id)
        if state is AccountState.OPEN and not may_reopen(account, now, house.account_grace):
            raise WrongState("the account is not closed, or its grace is over: it cannot be reopened")
        if account.state is not state:
            account = moved(account, state, now)
            account = replace(account, version=await accounts.next_number(tx, "key_changes"))
            await accounts.update_account(tx, account)
            tx.stage(account_event(account, now))
        tx.subject(account_id)
        view: AccountView = AccountView.of(account)
        return await tx.keep(view)


async def _held(tx: Transaction, call: Call, account_id: UUID) -> Account:
    own = call.operator or call.account_id == account_id
    account = await accounts.account(tx, account_id, lock=True) if own else None
    if account is None:
        raise NoSuchThing("no such account")
    return account


class EmptyAccounts:
    """A worker: what contacts knows of an account goes when the grace of its closing is over, in batches. What says "no"
    stays: the copy of the feed, the tombstones, and the account itself with its keys, none of which opens anything."""

    name = "empty_accounts"

    def __init__(self, house: Contacts) -> None:
        self._house = house

    async def run(self, stop: asyncio.Event) -> None:
        pause = min(EVERY, max(1.0, self._house.account_grace.total_seconds() / LOOKS))
        while not stop.is_set():
            try:
                await self.empty(stop)
            except StorageUnavailable as wrong:
                logger("contacts.actions").info("accounts not emptied", reason=str(wrong))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause * random.uniform(0.8, 1.2))

    async def empty(self, stop: asyncio.Event) -> int:
        """Empties every account whose grace is over. Returns how many that was for the first time."""
        before = self._house.clock.now() - self._house.account_grace
        async with self._house.db.platform() as tx:
            over = await emptying.over(tx, before)
        for account_id, _ in over:
            if not await empty_tables(self._house.db, emptying.EMPTYING, account_id, stop):
                break
            now = self._house.clock.now()
            async with self._house.db.account(account_id) as tx:
                if await emptying.done(tx, account_id, now):
                    tx.stage(AccountEmptied(account_id=account_id, occurred_at=now))
        return sum(first for _, first in over)
