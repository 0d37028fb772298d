"""ingest.actions.enter: lets a drop's client in: by password or key, and not after too many wrong ones."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database
from mailmaker.common.web.keyring import KeyRing
from mailmaker.ingest.domain.drops import Drop
from mailmaker.ingest.domain.logins import Failures
from mailmaker.ingest.storage import drops as store
from mailmaker.ingest.storage.inboxes import Inbox, Inboxes
from mailmaker.ingest.storage.passwords import NOBODYS, is_right

FREE_BY_ADDRESS = 5
FREE_BY_USER = 10
_REMEMBERED = 20_000
_AT_ONCE = 2
_LONGEST_PASSWORD = 200


class Entrance:
    """What both doors ask. Of one loop: another thread's door asks through it."""

    def __init__(self, db: Database, keyring: KeyRing, inboxes: Inboxes, clock: Clock) -> None:
        self._db = db
        self._keyring = keyring
        self._inboxes = inboxes
        self._clock = clock
        self._hashing = asyncio.Semaphore(_AT_ONCE)
        self._failures: OrderedDict[str, Failures] = OrderedDict()
        self._log = logger("ingest.actions.enter")

    async def find(self, user_name: str, protocol: str) -> Drop | None:
        """The drop of a user name, if it may be entered now by this protocol."""
        if not user_name.isascii() or len(user_name) > 64:
            return None
        async with self._db.platform() as tx:
            drop = await store.by_user(tx, user_name)
        if drop is None or not drop.active or protocol not in drop.protocols:
            return None
        account = await self._keyring.account(drop.account_id)
        return drop if account is not None and account.state == "open" else None

    async def by_password(self, user_name: str, password: str, protocol: str, peer: str) -> Drop | None:
        """The drop that this password opens. None: it opens none, or this user or address must wait."""
        waits = ((f"user {user_name[:64]}", FREE_BY_USER), (f"from {peer}", FREE_BY_ADDRESS))
        now = self._clock.boot()
        if any(self._failures.get(who, Failures()).heard_again(free) > now for who, free in waits):
            self._log.info("password not looked at", peer=peer, protocol=protocol)
            return None
        drop = await self.find(user_name, protocol)
        stored = NOBODYS if drop is None or drop.password_hash is None else drop.password_hash
        async with self._hashing:
            right = await asyncio.to_thread(is_right, password[:_LONGEST_PASSWORD], stored)
        if drop is not None and right:
            for who, _ in waits:
                self._failures.pop(who, None)
            return drop
        for who, _ in waits:
            self._failures[who] = self._failures.get(who, Failures()).failed(now)
            self._failures.move_to_end(who)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)
        return None

    async def come_in(self, drop: Drop, protocol: str) -> Inbox:
        """The inbox of who has shown that he may."""
        async with self._db.account(drop.account_id) as tx:
            await store.logged_in(tx, drop)
        inbox = self._inboxes.of(drop)
        await asyncio.to_thread(inbox.prepare)
        self._log.info("session began", drop=str(drop.id), protocol=protocol)
        return inbox

    async def expelled(self, sessions: Sequence[Drop]) -> set[UUID]:
        """Of the drops that have sessions, those whose sessions must end: closed, switched off, or other credentials."""
        async with self._db.platform() as tx:
            standing = await store.standing(tx, [drop.id for drop in sessions])
        open_accounts = self._keyring.open_accounts()
        return {
            drop.id
            for drop in sessions
            if standing.get(drop.id) != drop.credentials or drop.account_id not in open_accounts
        }
