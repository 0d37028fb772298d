"""A real ingest on a real PostgreSQL and a real disk, as its tests see it; contacts is played by a table."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from mailmaker.common.contracts.contacts import CapPolicy, Controller
from mailmaker.common.contracts.internal import AccountRow, CustomField, KeyRow, KeysPage, ListRow
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.scopes import SCOPES
from mailmaker.ingest.actions.read import ReaderWorker
from mailmaker.ingest.storage.files import Files
from sqlalchemy import text

CORPORA = Path(__file__).parents[4] / "shared/corpora/corpora.tar.xz"
TOKEN = "service-token-of-the-tests-0123456789"


@dataclass
class Contacts:
    """contacts' word on accounts, keys and lists."""

    accounts: dict[str, AccountRow] = field(default_factory=dict)
    keys: dict[str, KeyRow] = field(default_factory=dict)
    lists: dict[UUID, ListRow] = field(default_factory=dict)
    approved: list[str] = field(default_factory=list)

    def account_key(self, *scopes: str) -> tuple[UUID, str]:
        number = len(self.keys) + 1
        row = AccountRow(
            account_id=new_id(), number=number, name=f"account {number}", state="open", version=number
        )
        self.accounts[str(row.account_id)] = self.accounts[str(number)] = row
        secret = f"mm_live_{number}"
        hashed = hashlib.sha256(secret.encode()).hexdigest()
        self.keys[hashed] = KeyRow(
            key_id=new_id(),
            account_id=row.account_id,
            secret_hash=hashed,
            scopes=scopes or tuple(SCOPES),
            version=number,
        )
        return row.account_id, secret

    def open_list(self, account: UUID, key: str = "email", *fields: CustomField) -> UUID:
        row = ListRow.model_validate({
            "account_id": account, "list_id": new_id(), "name": "a list", "key_kind": key, "default_country": "IT",
            "timezone": "Europe/Rome", "controller": Controller(name="Ada", email="ada@example.it"),
            "caps": CapPolicy(), "fields": fields, "version": 1,
        })  # fmt: skip
        self.lists[row.list_id] = row
        return row.list_id

    async def changes(self, after: int) -> KeysPage:
        return KeysPage(accounts=tuple(self.accounts.values()), keys=tuple(self.keys.values()), version=1)

    async def key(self, secret_hash: str) -> KeyRow | None:
        return self.keys.get(secret_hash)

    async def account(self, id_or_number: str) -> AccountRow | None:
        return self.accounts.get(id_or_number)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """The internal door of contacts, as far as ingest knows it."""
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        if request.method == "POST":
            self.approved.append(request.url.path)
            return httpx.Response(204 if len(self.approved) == 1 else 409)
        found = self.lists.get(UUID(request.url.path.removeprefix("/internal/lists/")))
        if found is None:
            return httpx.Response(404)
        return httpx.Response(200, text=found.model_dump_json())


@dataclass
class Ingest:
    """The house as the tests see it."""

    db: Database
    files: Files
    root: Path
    contacts: Contacts
    http: httpx.AsyncClient
    worker: ReaderWorker
    account: UUID
    list_id: UUID

    async def send(
        self, data: bytes, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        told = {"list": str(self.list_id), "mode": "incremental", **options}
        return await self.http.post(
            "/v1/imports",
            files={"file": ("../../a file.csv", data, "text/csv")},
            data={"options": json.dumps(told)},
            headers=headers or {},
        )

    async def preview(self, data: bytes, **options: Any) -> httpx.Response:
        return await self.http.post(
            "/v1/imports:preview",
            files={"file": ("../../a file.csv", data, "text/csv")},
            data={"options": json.dumps({"list": str(self.list_id), **options})},
        )

    async def read(self) -> bool:
        return await self.worker.read_one(asyncio.Event())

    async def imported(self, data: bytes, **options: Any) -> dict[str, Any]:
        """Sent and read."""
        sent = await self.send(data, **options)
        assert sent.status_code == 202, sent.text
        assert await self.read()
        return await self.show(sent.json()["id"])

    async def show(self, import_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/v1/imports/{import_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def internal(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, content: bytes | None = None
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return await self.http.request(method, path, json=body, content=content, headers=headers)

    async def told(self) -> list[dict[str, Any]]:
        """What the house has staged for the bus, oldest first."""
        async with self.db.platform() as tx:
            rows = (await tx.execute(text("SELECT value FROM outbox ORDER BY id"))).scalars()
            return [json.loads(bytes(value)) for value in rows]

    async def run(self, sql: str, **values: object) -> Any:
        async with self.db.platform() as tx:
            return await tx.execute(text(sql), values)

    def on_disk(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())
