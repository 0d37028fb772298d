"""A house of suppression to test: real PostgreSQL, a contacts that the test speaks for."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI, Response
from mailmaker.common.bus.memory import MemoryBus
from mailmaker.common.contracts.contacts import CapPolicy, Controller
from mailmaker.common.contracts.internal import (
    AccountRow,
    ContactRow,
    EnforcedBatch,
    Enforcement,
    KeyRow,
    KeysPage,
    ListRow,
)
from mailmaker.common.mail.address import address_key
from mailmaker.common.mail.tokens import Purpose, Token, TokenKeys
from mailmaker.common.ops.lifecycle import Running, supervise
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.ids import new_id
from mailmaker.suppression.main import build
from mailmaker.suppression.settings import Settings
from pydantic import SecretStr

SERVICE_TOKEN = "s" * 40
PEPPER = base64.urlsafe_b64encode(b"p" * 32).decode()
TOKEN_KEYS = "1:" + base64.urlsafe_b64encode(b"t" * 32).decode()
OPERATOR = "mm_op_test"
TOKENS = TokenKeys.from_setting(TOKEN_KEYS)


@dataclass
class FakeContacts:
    """contacts, as far as suppression asks it. `away`: it answers nothing."""

    away: bool = False
    accounts: dict[UUID, AccountRow] = field(default_factory=dict)
    keys: dict[str, KeyRow] = field(default_factory=dict)
    contacts: dict[UUID, ContactRow] = field(default_factory=dict)
    lists: dict[UUID, ListRow] = field(default_factory=dict)
    version: int = 0

    def account(self, state: str = "open") -> tuple[AccountRow, str]:
        """A new account and the secret of its key."""
        self.version += 1
        row = AccountRow.model_validate(
            {
                "account_id": new_id(),
                "number": len(self.accounts) + 1,
                "name": "x",
                "state": state,
                "version": self.version,
            }
        )
        self.accounts[row.account_id] = row
        secret = f"mm_live_{row.account_id}"
        digest = hashlib.sha256(secret.encode()).hexdigest()
        scopes = ("suppressions:read", "suppressions:write")
        self.keys[digest] = KeyRow(
            key_id=new_id(),
            account_id=row.account_id,
            secret_hash=digest,
            scopes=scopes,
            version=self.version,
        )
        return row, secret

    def list(self, account: AccountRow) -> ListRow:
        row = ListRow(
            account_id=account.account_id,
            list_id=new_id(),
            name="Novità <b>",
            key_kind="email",
            default_country="IT",
            timezone="Europe/Rome",
            controller=Controller(name="Rossi", email="p@rossi.test"),
            caps=CapPolicy(),
            version=1,
        )
        self.lists[row.list_id] = row
        return row

    def contact(self, of: ListRow, email: str) -> ContactRow:
        key = address_key(b"p" * 32, of.account_id, "email", email).hex()
        row = ContactRow(
            account_id=of.account_id,
            list_id=of.list_id,
            contact_id=new_id(),
            email_key=key,
            mobile_key=None,
            fkey=None,
        )
        self.contacts[row.contact_id] = row
        return row

    def app(self) -> FastAPI:
        app = FastAPI()

        def answer(row: Any) -> Response:
            if self.away:
                return Response(status_code=503)
            if row is None:
                return Response(status_code=404)
            return Response(row.model_dump_json(), media_type="application/json")

        @app.get("/internal/keys")
        async def keys(after: int = 0) -> Response:
            return answer(
                KeysPage(
                    accounts=tuple(self.accounts.values()),
                    keys=tuple(self.keys.values()),
                    version=self.version,
                )
            )

        @app.get("/internal/keys/{digest}")
        async def key(digest: str) -> Response:
            return answer(self.keys.get(digest))

        @app.get("/internal/accounts/{ref}")
        async def account(ref: str) -> Response:
            return answer(
                next((a for a in self.accounts.values() if ref in (str(a.account_id), str(a.number))), None)
            )

        @app.get("/internal/lists/{ref}")
        async def list_(ref: UUID) -> Response:
            return answer(self.lists.get(ref))

        @app.get("/internal/contacts/{ref}")
        async def contact(ref: UUID) -> Response:
            return answer(self.contacts.get(ref))

        return app


@dataclass
class Door:
    """What a test does at the house's doors."""

    http: httpx.AsyncClient
    contacts: FakeContacts
    running: Running

    def token(
        self, account: AccountRow, contact: ContactRow | UUID, purpose: Purpose = Purpose.UNSUBSCRIBE
    ) -> str:
        id = contact if isinstance(contact, UUID) else contact.contact_id
        return TOKENS.mint(purpose, Token(account.number, 7, id))

    async def feed(self, after: int = 0, **more: Any) -> dict[str, Any]:
        answer = await self.http.get("/internal/feed", params={"after": after, **more}, headers=service())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def feed_until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first page of the feed for which the condition holds."""
        async with asyncio.timeout(30):
            while True:
                page = await self.feed(limit=1000)
                if condition(page):
                    return page
                await asyncio.sleep(0.05)

    async def enforce(self, after: int = 0, **more: Any) -> int:
        """As dispatch does: answers for every line."""
        items = [
            Enforcement(
                number=i["number"],
                account_id=i["account_id"],
                suppression_id=i["suppression_id"],
                enforced_at=datetime.now(UTC),
                **more,
            )
            for i in (await self.feed(after))["items"]
        ]
        body = EnforcedBatch(items=tuple(items)).model_dump_json()
        answer = await self.http.post("/internal/enforced", content=body, headers=service())
        assert answer.status_code == 204, answer.text
        return len(items)


def service() -> dict[str, str]:
    return {"Authorization": f"Bearer {SERVICE_TOKEN}", "Content-Type": "application/json"}


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def shared(url: str, contacts_url: str = "http://contacts") -> Shared:
    return Shared(
        database_url=SecretStr(url),
        service_token=SecretStr(SERVICE_TOKEN),
        token_keys=SecretStr(TOKEN_KEYS),
        pepper=SecretStr(PEPPER),
        operator_key_hash=SecretStr(hashlib.sha256(OPERATOR.encode()).hexdigest()),
        contacts_url=contacts_url,
    )


@asynccontextmanager
async def living(
    url: str, journal: Path, contacts: FakeContacts, *, workers: bool = True, **more: Any
) -> AsyncIterator[Door]:
    """The house as a process runs it, but for its socket. `more`: settings of its own."""
    bus = MemoryBus()
    settings = Settings(journal=journal, page_wait=0.2, **more)
    running = await build(settings, shared(url), bus)
    running.app.state.house.contacts._client._transport = httpx.ASGITransport(app=contacts.app())
    await bus.start()
    stop, opened, tasks = asyncio.Event(), [], []
    try:
        for resource in running.resources:
            await resource.open()
            opened.append(resource)
        await running.app.state.keyring.pull() if not contacts.away else None
        if workers:
            tasks = [asyncio.create_task(supervise(w, stop)) for w in running.workers]
        transport = httpx.ASGITransport(app=running.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://suppression", timeout=30) as http:
            yield Door(http, contacts, running)
    finally:
        stop.set()
        if tasks:
            await asyncio.wait(tasks, timeout=10)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for resource in reversed(opened):
            await resource.close()
        await bus.stop()
