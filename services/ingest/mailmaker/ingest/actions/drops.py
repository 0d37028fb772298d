"""ingest.actions.drops: opens, shows, changes and closes the inboxes of an account."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from mailmaker.common.contracts.internal import ListRow
from mailmaker.common.ops.clock import Clock
from mailmaker.common.storage.engine import Database, Transaction
from mailmaker.common.storage.ids import new_id
from mailmaker.common.storage.keyset import Page, encode_cursor
from mailmaker.common.web.auth import check_list
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.problem import Fault
from mailmaker.ingest.actions.drop_shapes import DropOpened, DropView, TakenView, fields_of
from mailmaker.ingest.actions.profiles import options_for
from mailmaker.ingest.actions.show import position
from mailmaker.ingest.domain.drops import Drop
from mailmaker.ingest.errors import BadOptions, UnknownDrop, UnknownList, UnknownProfile
from mailmaker.ingest.storage import drop_files
from mailmaker.ingest.storage import drops as store
from mailmaker.ingest.storage.passwords import hashed

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_TRIES = 5


def allowed(call: Call, drop: Drop | None) -> Drop:
    """The drop, if the key may see every list it feeds. Raises UnknownDrop."""
    if drop is None or (call.list_ids is not None and not drop.lists <= call.list_ids):
        raise UnknownDrop("no such drop")
    return drop


async def open_drop(
    db: Database, contacts: InternalClient, clock: Clock, call: Call, wish: Drop, *, password: bool
) -> DropOpened:
    """Opens an inbox. `wish` is a drop without ids, names and times, which are made here.

    Raises UnknownList, UnknownProfile, BadOptions.
    """
    await _check_lists(contacts, call, wish)
    await _check_profiles(db, call, wish)
    secret = new_password() if password else None
    stored = None if secret is None else await asyncio.to_thread(hashed, secret)
    for attempt in range(_TRIES):
        try:
            async with db.write(call, "drop.opened") as tx:
                if (first := tx.replayed(DropOpened)) is not None:
                    return first
                begins = await store.prefix(tx, call.account_id) or _random(10)
                now = clock.now()
                drop = await store.add(
                    tx,
                    replace(
                        wish,
                        account_id=call.account_id,
                        id=new_id(),
                        user_name=f"{begins}-{_random(6)}",
                        password_hash=stored,
                        created_at=now,
                        updated_at=now,
                    ),
                )
                tx.subject(drop.id)
                return await tx.keep(DropOpened(**fields_of(drop), password=secret), secrets=("password",))
        except store.UserNameTaken:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


async def see_drops(db: Database, call: Call, *, cursor: str | None, limit: int) -> Page[DropView]:
    """The account's drops, newest first; those that feed a list the key may not see are not shown."""
    before = position(cursor)
    async with db.account(call.account_id) as tx:
        found = await store.page(tx, call.account_id, before, limit + 1)
    more, found = len(found) > limit, found[:limit]
    shown = [drop for drop in found if call.list_ids is None or drop.lists <= call.list_ids]
    return Page[DropView](
        items=[DropView.of(drop) for drop in shown],
        next=encode_cursor(str(found[-1].id)) if more else None,
    )


async def see_drop(db: Database, call: Call, drop_id: UUID) -> Drop:
    """One drop. Raises UnknownDrop."""
    async with db.account(call.account_id) as tx:
        return allowed(call, await store.one(tx, call.account_id, drop_id))


async def change_drop(
    db: Database, contacts: InternalClient, call: Call, drop_id: UUID, changed: Callable[[Drop], Drop]
) -> DropView:
    """Changes a drop by a function of what it is. Raises UnknownDrop, UnknownList, UnknownProfile, BadOptions."""
    wish = changed(await see_drop(db, call, drop_id))
    await _check_lists(contacts, call, wish)
    await _check_profiles(db, call, wish)
    async with db.write(call, "drop.changed") as tx:
        before = allowed(call, await store.one(tx, call.account_id, drop_id, lock=True))
        tx.subject(drop_id)
        return DropView.of(await _saved(tx, before, changed(before)))


async def rotate(db: Database, call: Call, drop_id: UUID) -> DropOpened:
    """Gives a drop another password; the one before opens nothing from now on, and sessions end within seconds."""
    secret = new_password()
    stored = await asyncio.to_thread(hashed, secret)
    async with db.write(call, "drop.rotated") as tx:
        if (first := tx.replayed(DropOpened)) is not None:
            return first
        before = allowed(call, await store.one(tx, call.account_id, drop_id, lock=True))
        tx.subject(drop_id)
        drop = await _saved(tx, before, replace(before, password_hash=stored))
        return await tx.keep(DropOpened(**fields_of(drop), password=secret), secrets=("password",))


async def close_drop(db: Database, call: Call, drop_id: UUID) -> None:
    """Closes a drop: nobody comes in, sessions end within seconds, and what lies in it is removed. Imports go on."""
    async with db.write(call, "drop.closed") as tx:
        before = allowed(call, await store.one(tx, call.account_id, drop_id, lock=True))
        tx.subject(drop_id)
        await _saved(tx, before, replace(before, closed=True, password_hash=None, public_keys=()))


async def see_files(
    db: Database, call: Call, drop_id: UUID, *, cursor: str | None, limit: int
) -> Page[TakenView]:
    """The files that were taken from a drop, newest first."""
    before = position(cursor)
    async with db.account(call.account_id) as tx:
        allowed(call, await store.one(tx, call.account_id, drop_id))
        found = await drop_files.page(tx, call.account_id, drop_id, before, limit + 1)
    more, found = len(found) > limit, found[:limit]
    return Page[TakenView](
        items=[TakenView.of(one) for one in found], next=encode_cursor(str(found[-1].id)) if more else None
    )


def new_password() -> str:
    """192 random bits, without characters that shells and URLs read."""
    return _random(39)


async def _saved(tx: Transaction, before: Drop, after: Drop) -> Drop:
    """What opens it has changed: sessions that began before are ended by this number."""
    opens = ("password_hash", "public_keys", "protocols", "active", "closed")
    if any(getattr(before, name) != getattr(after, name) for name in opens):
        after = replace(after, credentials=before.credentials + 1)
    return await store.save(tx, after)


async def _check_lists(contacts: InternalClient, call: Call, drop: Drop) -> None:
    for list_id in sorted(drop.lists):
        check_list(call, list_id)
        row = await contacts.get(f"/internal/lists/{list_id}", ListRow)
        if row is None or row.account_id != call.account_id or row.closed:
            fault = Fault("/list", "list.unknown", "this account has no such list")
            raise UnknownList("no such list", faults=[fault])


async def _check_profiles(db: Database, call: Call, drop: Drop) -> None:
    """A profile that is forgotten later is found missing when a file comes, and the file is rejected with that word."""
    places = [*(f"/rules/{number}" for number in range(len(drop.rules) - 1)), ""]
    for at, rule in zip(places, drop.rules, strict=True):
        try:
            await options_for(db, call, rule.asked, mode="incremental")
        except (UnknownProfile, BadOptions) as wrong:
            faults = [
                Fault(
                    f"{at}/profile" if rule.profile is not None else at + fault.pointer,
                    fault.code,
                    fault.detail,
                )
                for fault in wrong.faults
            ]
            raise type(wrong)(wrong.detail, faults=faults) from wrong


def _random(letters: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(letters))
