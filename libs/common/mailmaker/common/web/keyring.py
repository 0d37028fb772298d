"""common.web.keyring: a house's own copy of API keys and accounts, pulled each second from their owner."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import Protocol
from uuid import UUID

from mailmaker.common.contracts.internal import AccountRow, KeyRow, KeysPage
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.common.web.internal import InternalClient, Unreachable
from mailmaker.common.web.problem import Problem
from sqlalchemy import text

STALE_AFTER = 5.0
PULL_EVERY = 1.0


class KeySource(Protocol):
    """The owner's word on keys and accounts."""

    async def changes(self, after: int) -> KeysPage: ...

    async def key(self, secret_hash: str) -> KeyRow | None: ...

    async def account(self, id_or_number: str) -> AccountRow | None: ...


class RemoteKeys:
    """contacts' word, over internal HTTP."""

    def __init__(self, contacts: InternalClient) -> None:
        self._contacts = contacts

    async def changes(self, after: int) -> KeysPage:
        page = await self._contacts.get("/internal/keys", KeysPage, {"after": after}, timeout=3)
        if page is None:
            raise Unreachable("contacts has no /internal/keys")
        return page

    async def key(self, secret_hash: str) -> KeyRow | None:
        return await self._contacts.get(f"/internal/keys/{secret_hash}", KeyRow, timeout=2)

    async def account(self, id_or_number: str) -> AccountRow | None:
        return await self._contacts.get(f"/internal/accounts/{id_or_number}", AccountRow, timeout=2)


_LOAD = (
    text("SELECT account_id, number, name, state, version FROM known_accounts"),
    text(
        "SELECT key_id, account_id, secret_hash, scopes, list_ids, expires_at, revoked, version FROM known_keys"
    ),
)
_SAVE_ACCOUNT = text("""
INSERT INTO known_accounts VALUES (:account_id, :number, :name, :state, :version)
ON CONFLICT (account_id) DO UPDATE SET name = excluded.name, state = excluded.state, version = excluded.version
 WHERE known_accounts.version < excluded.version
""")
_SAVE_KEY = text("""
INSERT INTO known_keys VALUES (:account_id, :key_id, :secret_hash, :scopes, :list_ids, :expires_at, :revoked, :version)
ON CONFLICT (account_id, key_id) DO UPDATE SET scopes = excluded.scopes, list_ids = excluded.list_ids,
  expires_at = excluded.expires_at, revoked = excluded.revoked, version = excluded.version
 WHERE known_keys.version < excluded.version
""")


class KeyRing:
    """A worker and a resource: knows every key and account, says how old its view is, and survives its owner's absence."""

    name = "keyring"

    def __init__(self, source: KeySource, clock: Clock, db: Database | None = None) -> None:
        self._source = source
        self._clock = clock
        self._db = db
        self._keys: dict[str, KeyRow] = {}
        self._accounts: dict[UUID, AccountRow] = {}
        self._numbers: dict[int, UUID] = {}
        self._version = 0
        self._confirmed = float("-inf")

    async def open(self) -> None:
        """Loads the copy in the house's own schema, so that a "no" is recorded while contacts is away."""
        if self._db is None:
            return
        with contextlib.suppress(StorageUnavailable):
            async with self._db.platform() as tx:
                accounts = (await tx.execute(_LOAD[0])).mappings().all()
                keys = (await tx.execute(_LOAD[1])).mappings().all()
            self._take(
                [AccountRow.model_validate(dict(r)) for r in accounts],
                [KeyRow.model_validate(dict(r)) for r in keys],
            )

    async def close(self) -> None:
        return None

    @property
    def age(self) -> float:
        """Seconds since the owner last confirmed this view."""
        return self._clock.boot() - self._confirmed

    @property
    def stale(self) -> bool:
        return self.age > STALE_AFTER

    async def run(self, stop: asyncio.Event) -> None:
        """Pulls changes each second. A silent owner only makes the view older."""
        log = logger("common.web")
        while not stop.is_set():
            try:
                await self.pull()
            except (Problem, Unreachable) as wrong:
                log.info("keys not pulled", reason=str(wrong))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PULL_EVERY)

    async def pull(self) -> None:
        """One pull, to the owner's newest change."""
        while True:
            asked = self._clock.boot()
            page = await self._source.changes(self._version)
            self._take(page.accounts, page.keys)
            self._version = max(self._version, page.version)
            if page.accounts or page.keys:
                await self._save(page)
            if not page.more:
                self._confirmed = asked
                return

    async def by_secret(self, secret: str) -> KeyRow | None:
        """The key of a secret; one we do not know is asked of its owner before it is refused."""
        digest = hashlib.sha256(secret.encode()).hexdigest()
        row = self._keys.get(digest)
        if row is None:
            row = await self._source.key(digest)
            if row is not None:
                self._take([], [row])
        return row

    async def account(self, account_id: UUID) -> AccountRow | None:
        """An account by id; one we do not know is asked of its owner."""
        return self._accounts.get(account_id) or await self._ask(str(account_id))

    async def account_by_number(self, number: int) -> AccountRow | None:
        """An account by its small number, as tokens carry it."""
        known = self._numbers.get(number)
        return self._accounts[known] if known is not None else await self._ask(str(number))

    def open_accounts(self) -> frozenset[UUID]:
        """The accounts that may send now."""
        return frozenset(a.account_id for a in self._accounts.values() if a.state == "open")

    async def _ask(self, id_or_number: str) -> AccountRow | None:
        row = await self._source.account(id_or_number)
        if row is not None:
            self._take([row], [])
        return row

    def _take(
        self, accounts: list[AccountRow] | tuple[AccountRow, ...], keys: list[KeyRow] | tuple[KeyRow, ...]
    ) -> None:
        for account in accounts:
            known = self._accounts.get(account.account_id)
            if known is None or known.version <= account.version:
                self._accounts[account.account_id] = account
                self._numbers[account.number] = account.account_id
        for key in keys:
            held = self._keys.get(key.secret_hash)
            if held is None or held.version <= key.version:
                self._keys[key.secret_hash] = key

    async def _save(self, page: KeysPage) -> None:
        if self._db is None:
            return
        with contextlib.suppress(StorageUnavailable):
            async with self._db.platform() as tx:
                for account in sorted(page.accounts, key=lambda a: a.account_id):
                    await tx.execute(_SAVE_ACCOUNT, account.model_dump())
                for key in sorted(page.keys, key=lambda k: k.key_id):
                    values = key.model_dump() | {"scopes": list(key.scopes)}
                    values["list_ids"] = None if key.list_ids is None else list(key.list_ids)
                    await tx.execute(_SAVE_KEY, values)
