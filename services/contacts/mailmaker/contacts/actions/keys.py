"""contacts.actions.keys: issues and revokes API keys, and tells the other houses."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from uuid import UUID

from mailmaker.common.contracts.internal import AccountRow, KeyRow, KeysPage
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import NOBODY, new_id
from mailmaker.common.storage.keyset import Page, decode_cursor, encode_cursor
from mailmaker.common.web.call import Call
from mailmaker.common.web.scopes import SCOPES
from mailmaker.contacts.actions.accounts import key_event
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.shapes import KeyView, KeyWish, NewKeyView
from mailmaker.contacts.domain.accounts import SECRET_BYTES, Account, ApiKey, key_hash, key_of, scope_faults
from mailmaker.contacts.errors import NoSuchThing, wrong_fields
from mailmaker.contacts.storage import accounts, lists

PAGE = 1000


async def issue_key(house: Contacts, call: Call, wish: KeyWish) -> NewKeyView:
    """Issues a key with at most the asking key's own scopes and lists. Its secret is in this answer only."""
    now = house.clock.now()
    faults = scope_faults(wish.scopes, SCOPES, call.scopes)
    if wish.expires_at is not None and wish.expires_at <= now:
        faults.append(("/expires_at", "time.past", "lies in the past"))
    own = call.list_ids
    wished = wish.lists if wish.lists is not None or own is None else sorted(own)
    if own is not None:
        faults += [
            (f"/lists/{i}", "list_not_allowed", "the asking key may not touch it")
            for i, x in enumerate(wished or ())
            if x not in own
        ]
    text = key_of(secrets.token_bytes(SECRET_BYTES))
    async with house.db.write(call, "key.issued") as tx:
        if (first := tx.replayed(NewKeyView)) is not None:
            return first
        for i, list_id in enumerate(wished or ()):
            if await lists.one(tx, call.account_id, list_id) is None:
                faults.append((f"/lists/{i}", "list.unknown", "no such list"))
        if faults:
            raise wrong_fields(faults)
        key = ApiKey(
            call.account_id,
            new_id(),
            wish.name,
            text[:12],
            tuple(dict.fromkeys(wish.scopes)),
            None if wished is None else tuple(wished),
            now,
            wish.expires_at,
            None,
            await accounts.next_number(tx, "key_changes"),
        )
        await accounts.insert_key(tx, key, key_hash(text))
        tx.subject(key.id)
        tx.stage(key_event(key, key_hash(text), now))
        answer: NewKeyView = NewKeyView.of(key, key=text)
        return await tx.keep(answer, secrets=("key",))


async def revoke_key(house: Contacts, call: Call, key_id: UUID) -> None:
    """Ends a key: other houses learn it within a second or two. Revoking again changes nothing."""
    async with house.db.write(call, "key.revoked") as tx:
        found = await accounts.lock_key(tx, call.account_id, key_id)
        if found is None:
            raise NoSuchThing("no such key")
        key, secret_hash = found
        tx.subject(key_id)
        if key.revoked_at is not None:
            return
        now = house.clock.now()
        key = replace(key, revoked_at=now, version=await accounts.next_number(tx, "key_changes"))
        await accounts.revoke_key(tx, key)
        tx.stage(key_event(key, secret_hash, now))


async def see_keys(house: Contacts, call: Call, limit: int, cursor: str | None) -> Page[KeyView]:
    """The account's keys, oldest first, without their secrets."""
    after = UUID(str(decode_cursor(cursor)[0])) if cursor else NOBODY
    async with house.db.account(call.account_id) as tx:
        found = await accounts.keys_after(tx, call.account_id, after, limit + 1)
    more = encode_cursor(str(found[limit - 1].id)) if len(found) > limit else None
    return Page(items=[KeyView.of(k) for k in found[:limit]], next=more)


class OwnKeys:
    """The KeySource of every house's KeyRing: this house's own tables."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def changes(self, after: int) -> KeysPage:
        """Accounts and keys changed after a version, in its order. Versions have no gap, and none appears late."""
        async with self._db.platform() as tx:
            some, keys = await accounts.changes(tx, after, PAGE)
        # Two sorted lists cut at PAGE each: only what lies before both cuts is complete.
        cuts = [rows[-1].version for rows in (some, keys) if len(rows) == PAGE]
        last = min(cuts) if cuts else max([after, *(r.version for r in some), *(r.version for r in keys)])
        return KeysPage(
            accounts=tuple(a for a in some if a.version <= last),
            keys=tuple(k for k in keys if k.version <= last),
            version=last,
            more=bool(cuts),
        )

    async def key(self, secret_hash: str) -> KeyRow | None:
        if len(secret_hash) != 2 * hashlib.sha256().digest_size:
            return None
        async with self._db.platform() as tx:
            return await accounts.key_by_hash(tx, bytes.fromhex(secret_hash))

    async def account(self, id_or_number: str) -> AccountRow | None:
        """An account by its id or its number; None for anything else."""
        try:
            wanted = (
                int(id_or_number) if id_or_number.isascii() and id_or_number.isdigit() else UUID(id_or_number)
            )
        except ValueError:
            return None
        async with self._db.platform() as tx:
            if isinstance(wanted, UUID):
                found = await accounts.account(tx, wanted)
            else:
                found = await accounts.account_by_number(tx, wanted) if wanted < 2**31 else None
        return None if found is None else _row(found)


def _row(a: Account) -> AccountRow:
    return AccountRow.model_validate(
        {
            "account_id": a.account_id,
            "number": a.number,
            "name": a.name,
            "state": str(a.state),
            "version": a.version,
        }
    )
