"""A house of contacts to test: real PostgreSQL, an ingest and a suppression that the test speaks for."""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import io
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from mailmaker.common.contracts.event import Event, decode
from mailmaker.common.contracts.imports import ImportStaged
from mailmaker.common.contracts.internal import FeedItem, FeedPage
from mailmaker.common.contracts.lines import LinesRead, LinesWanted
from mailmaker.common.feed import FeedFollower
from mailmaker.common.mail.address import address_key, pepper_check
from mailmaker.common.mail.subjects import address_subject, contact_subject
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.engine import Database, Heard
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.app import create_app
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.keyring import KeyRing
from mailmaker.contacts.actions.follow_suppressions import FollowSuppressions
from mailmaker.contacts.actions.hear_imports import hear_staged
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.keys import OwnKeys
from mailmaker.contacts.actions.run_imports import RunImports
from mailmaker.contacts.api import accounts, contacts, exports, fields, internal, lists, plans, segments
from mailmaker.ingest.domain.outlines import END, HEAD, Entry
from mailmaker.ingest.domain.outlines import lines as lines_told
from pydantic import SecretStr

OPERATOR = "mm_op_test"
SERVICE = "s" * 40
PEPPER = b"p" * 32
STANDARD = (
    "email",
    "mobile",
    "fkey",
    "name",
    "surname",
    "sex",
    "birth_date",
    "province",
    "region",
    "city",
    "postal_code",
    "country",
    "language",
)


@dataclass
class Suppression:
    """A feed that the test writes. `away`: it does not answer."""

    items: list[FeedItem] = field(default_factory=list)
    away: bool = False

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            return httpx.Response(503)
        after = int(request.url.params["after"])
        page = FeedPage(
            items=tuple(i for i in self.items if i.number > after)[:500],
            head=len(self.items),
            confirmed_age=0.0,
            pepper_check=pepper_check(PEPPER),
        )
        return httpx.Response(200, json=page.model_dump(mode="json"))

    def say(
        self,
        account_id: UUID,
        subjects: Sequence[bytes],
        *,
        list_id: UUID | None = None,
        reason: str = "unsubscribe",
        channel: str = "email",
        released: UUID | None = None,
    ) -> FeedItem:
        now = datetime.now(UTC)
        item = FeedItem.model_validate(
            {
                "number": len(self.items) + 1,
                "suppression_id": released or new_id(),
                "account_id": account_id,
                "channel": channel,
                "scope": "list" if list_id else "account",
                "list_id": list_id,
                "subjects": [s.hex() for s in subjects],
                "reason": reason,
                "door": "api",
                "released": released is not None,
                "received_at": now,
                "recorded_at": now,
            }
        )
        self.items.append(item)
        return item


@dataclass
class Ingest:
    """Staged files that the test wrote, as ingest tells them. `sent` counts the rows that were pulled whole; `wanted` are
    the lines that were to be read of files told by their lines, None for all. `joined`: the last line is no record by
    itself, but the end of the one before; `unreadable`: the code of why no line can be read."""

    files: dict[str, bytes] = field(default_factory=dict)
    outlines: dict[str, bytes] = field(default_factory=dict)
    by_line: dict[str, tuple[Sequence[Sequence[Any]], object]] = field(default_factory=dict)
    wanted: list[list[int] | None] = field(default_factory=list)
    sent: int = 0
    joined: bool = False
    unreadable: str | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        import_id, what = request.url.path.split("/")[3:]
        if what == "lines":
            return httpx.Response(200, content=self._lines(import_id))
        if what == "read":
            return httpx.Response(200, text=self._read(import_id, request.content).model_dump_json())
        found = (self.outlines if what == "outline" else self.files).get(import_id)
        if found is None:
            return httpx.Response(404)
        if request.method == "POST":
            places = struct.unpack(f"<{len(request.content) // 8}q", request.content)
            found = b"".join(found[at : found.index(b"\n", at) + 1] for at in places)
        if what == "staged":
            self.sent += found.count(b"\n")
        return httpx.Response(200, content=found)

    def name(self, import_id: str, line: int, key: str) -> None:
        """One more line of the file only names a key."""
        entry = Entry(-line, None, None, key.encode()).encode()
        self.outlines[import_id] = self.outlines[import_id].removesuffix(END) + entry + END

    def write(self, rows: Sequence[Sequence[object]], seed: object) -> str:
        """A staged file of these rows (line, key, fields) with its outline. Returns its import's id. A row with a
        negative line only names its key."""
        import_id = str(new_id())
        self.by_line[import_id] = rows, seed
        self._stage(import_id, rows, seed)
        return import_id

    def _lines(self, import_id: str) -> bytes:
        """Of a file that is told by its lines, as long as none is read."""
        self.files.pop(import_id, None)
        self.outlines.pop(import_id, None)
        rows, seed = self.by_line[import_id]
        marks = [_digest(seed, key, cells) for _, key, *cells in rows]
        return HEAD + lines_told([abs(row[0]) for row in rows], marks) + END

    def _read(self, import_id: str, asked: bytes) -> LinesRead:
        wanted = LinesWanted.model_validate_json(asked).lines
        self.wanted.append(None if wanted is None else [*wanted])
        if self.unreadable is not None:
            return LinesRead(error_code=self.unreadable, error_detail="it cannot be read")
        if self.joined and wanted is not None:
            return LinesRead(joined=True)
        rows, seed = self.by_line[import_id]
        rows = rows[:-1] if self.joined else rows
        picked = rows if wanted is None else [row for row in rows if abs(row[0]) in wanted]
        first = {row[1]: row[0] for row in reversed(picked) if row[0] > 0}
        kept = [row for row in picked if row[0] < 0 or first[row[1]] == row[0]]
        self._stage(import_id, kept, seed)
        named = sum(row[0] < 0 for row in kept)
        return LinesRead(
            rows=len(picked),
            staged=len(kept) - named,
            rejected=named,
            duplicate=len(picked) - len(kept),
            named=named,
        )

    def _stage(self, import_id: str, rows: Sequence[Sequence[object]], seed: object) -> None:
        staged, outline = b"", [HEAD]
        for line, key, *cells in rows:
            digest = _digest(seed, key, cells)
            if isinstance(line, int) and line < 0:
                outline.append(Entry(line, None, None, str(key).encode()).encode())
            else:
                outline.append(Entry(int(str(line)), len(staged), digest, str(key).encode()).encode())
                staged += _csv([[line, key, *cells, digest.hex()]])
        self.files[import_id], self.outlines[import_id] = staged, b"".join([*outline, END])


def _digest(seed: object, key: object, cells: Sequence[object]) -> bytes:
    return hashlib.md5(repr((seed, key, cells)).encode(), usedforsecurity=False).digest()


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


@dataclass
class Dispatch:
    """Messages that the test says were meant for a contact. `away`: it does not answer."""

    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    away: bool = False

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            return httpx.Response(503)
        found = self.messages.get(request.url.path.split("/")[5], [])
        return httpx.Response(200, json={"items": found, "more": False})


@dataclass
class Client:
    """One account and what it does at the doors."""

    http: httpx.AsyncClient
    account: UUID
    number: int
    key: str

    async def ask(self, method: str, path: str, json: Any = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        return await self.http.request(method, path, json=json, headers=headers, **more)

    async def open_list(self, key: str = "email", **more: Any) -> UUID:
        body = {
            "name": "Soci",
            "key": key,
            "controller": {"name": "Anna", "email": "anna@example.com"},
            **more,
        }
        answer = await self.ask("POST", "/v1/lists", body)
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    async def put(self, list_id: UUID, **fields: Any) -> dict[str, Any]:
        answer = await self.ask("PUT", f"/v1/lists/{list_id}/contacts", fields)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json()["contact"])

    async def contacts(self, list_id: UUID) -> dict[str, dict[str, Any]]:
        answer = await self.ask("GET", f"/v1/lists/{list_id}/contacts", params={"limit": 1000})
        return {c["email"] or c["mobile"] or c["fkey"]: c for c in answer.json()["items"]}


@dataclass
class Rig:
    """The house, standing on a fresh database."""

    db: Database
    house: Contacts
    follow: FollowSuppressions
    imports: RunImports
    keyring: KeyRing
    http: httpx.AsyncClient
    suppression: Suppression
    ingest: Ingest
    dispatch: Dispatch

    async def client(self, name: str = "Rossi") -> Client:
        answer = await self.operate("POST", "/v1/accounts", {"name": name})
        assert answer.status_code == 201, answer.text
        body = answer.json()
        return Client(self.http, UUID(body["id"]), body["number"], body["key"])

    async def operate(self, method: str, path: str, json: Any = None, **more: Any) -> httpx.Response:
        return await self.http.request(
            method, path, json=json, headers={"Authorization": f"Bearer {OPERATOR}"}, **more
        )

    async def inside(self, path: str, **params: Any) -> httpx.Response:
        return await self.http.get(path, params=params, headers={"Authorization": f"Bearer {SERVICE}"})

    def stage(
        self,
        rows: Sequence[Mapping[str, str]],
        fields: Sequence[str],
        *,
        key: str = "email",
        seed: str = "",
    ) -> tuple[str, int]:
        """Writes a staged file as ingest does. Returns its import's id and its rows."""
        staged = []
        for line, row in enumerate(rows, start=2):
            named = [row.get(name, "") if name in fields else "" for name in STANDARD]
            told = row[key].casefold() if key == "email" else row[key]
            staged.append([line, told, *named, row.get("custom", "")])
        return self.ingest.write(staged, [seed, *sorted(fields)]), len(rows)

    async def hear(
        self, client: Client, list_id: UUID, import_id: str, staged: int, fields: Sequence[str], **more: Any
    ) -> None:
        told = more.pop("told", staged)
        event = ImportStaged.model_validate(
            {
                "account_id": client.account,
                "occurred_at": datetime.now(UTC),
                "import_id": import_id,
                "list_id": list_id,
                "mode": "incremental",
                "rows": told,
                "rejected": 0,
                "duplicate": 0,
                "staged": told,
                "fields": fields,
                "empty_cells": "keep",
                "protect_cancellations": True,
                "consent": "subscribed",
                "apply": "auto",
                **more,
            }
        )
        await hear_staged(self.house, event, Heard("contacts", event.event_id))

    async def import_rows(
        self,
        client: Client,
        list_id: UUID,
        rows: Sequence[Mapping[str, str]],
        *,
        key: str = "email",
        **more: Any,
    ) -> dict[str, Any]:
        """A file from its staging to where it stands. Returns the plan."""
        fields = more.pop("fields", None) or [name for name in STANDARD if any(name in row for row in rows)]
        import_id, staged = self.stage(rows, fields, key=key, seed=more.pop("seed", ""))
        fields += more.pop("custom", [])
        await self.hear(client, list_id, import_id, staged, fields, **more)
        while await self.imports.step():
            pass
        answer = await client.ask("GET", f"/v1/plans/{import_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def until_settled(self, client: Client, import_id: str) -> dict[str, Any]:
        """Works on imports until this one is applied or failed."""
        return await self.until_state(client, import_id, "applied", "failed")

    async def until_state(self, client: Client, import_id: str, *states: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while True:
                await self.imports.step()
                plan = dict((await client.ask("GET", f"/v1/plans/{import_id}")).json())
                if plan["state"] in states:
                    return plan
                await asyncio.sleep(0.05)

    async def events(self, kind: type[Event] | None = None) -> list[Any]:
        """What was staged for the bus so far."""
        async with self.db.platform() as tx:
            rows = await tx.driver.fetch("SELECT headers::text AS h, value FROM outbox ORDER BY id")
        found = [decode(httpx.Response(200, text=r["h"]).json()["ce_type"], bytes(r["value"])) for r in rows]
        return [e for e in found if kind is None or isinstance(e, kind)]

    async def handed_over(self, target: str) -> list[dict[str, Any]]:
        async with self.db.platform() as tx:
            rows = await tx.driver.fetch(
                "SELECT body::text AS b FROM handovers WHERE target = $1 ORDER BY created_at, id", target
            )
        return [dict(httpx.Response(200, text=r["b"]).json()) for r in rows]

    def email_subject(self, client: Client, email: str) -> bytes:
        return address_subject(address_key(PEPPER, client.account, "email", email))

    def contact_subject(self, contact: Mapping[str, Any]) -> bytes:
        return contact_subject(UUID(contact["id"]))


async def rig_on(db: Database) -> AsyncIterator[Rig]:
    suppression, ingest, dispatch = Suppression(), Ingest(), Dispatch()
    token = SecretStr(SERVICE)
    to_suppression = InternalClient(
        "http://suppression", token, transport=httpx.MockTransport(suppression.answer)
    )
    to_ingest = InternalClient("http://ingest", token, transport=httpx.MockTransport(ingest.answer))
    to_dispatch = InternalClient("http://dispatch", token, transport=httpx.MockTransport(dispatch.answer))
    await to_dispatch.open()
    await to_suppression.open()
    await to_ingest.open()
    feed = FeedFollower(to_suppression, pepper_check(PEPPER))
    house = Contacts(db, SystemClock(), PEPPER, to_ingest, feed, to_dispatch)
    keyring = KeyRing(OwnKeys(db), SystemClock())
    await keyring.pull()
    shared = Shared(
        service_token=token,
        token_keys=SecretStr(""),
        pepper=SecretStr(base64.urlsafe_b64encode(PEPPER).decode()),
        operator_key_hash=SecretStr(hashlib.sha256(OPERATOR.encode()).hexdigest()),
    )
    routers = [
        accounts.router,
        lists.router,
        fields.router,
        segments.router,
        contacts.router,
        exports.router,
        plans.router,
        internal.router,
    ]
    app = create_app(
        "contacts", routers, shared=shared, keyring=keyring, metrics=Metrics(), ready={}, state=house
    )
    stop = asyncio.Event()
    pulling = asyncio.create_task(keyring.run(stop))
    follow = FollowSuppressions(house)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://contacts") as http:
        yield Rig(db, house, follow, RunImports(house, follow), keyring, http, suppression, ingest, dispatch)
    stop.set()
    await pulling
    await to_suppression.close()
    await to_dispatch.close()
    await to_ingest.close()
