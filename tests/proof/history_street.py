"""proof: contacts and suppression as their processes build them, in one process on one real PostgreSQL.

What runs by itself in production (the feed's follower, the hand-over, the completion of a "no") runs here when a history
says so: late, twice, or between two writes. Only ingest is spoken for by the test. The houses are built by their own
`main.build`, so that what is added to them is here at once.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import contacts_house as desk
import httpx
from mailmaker.common.bus.figures import uncounted
from mailmaker.common.bus.handover import _Lane
from mailmaker.common.bus.memory import MemoryBus
from mailmaker.common.mail.tokens import Purpose, Token, TokenKeys
from mailmaker.common.ops.lifecycle import Running
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.ids import new_id
from mailmaker.common.storage.migrate import migrate
from mailmaker.common.web.internal import InternalClient
from mailmaker.common.web.keyring import KeyRing
from mailmaker.contacts import main as contacts_main
from mailmaker.contacts.actions.apply_opt_outs import LANE as FILES
from mailmaker.contacts.actions.follow_suppressions import FollowSuppressions
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.run_imports import RunImports
from mailmaker.contacts.settings import Settings as ContactsSettings
from mailmaker.suppression import main as suppression_main
from mailmaker.suppression.actions.complete import Complete
from mailmaker.suppression.settings import Settings as SuppressionSettings
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from starlette.types import ASGIApp, Message

TOKEN_KEYS = "1:" + base64.urlsafe_b64encode(b"t" * 32).decode()
TOKENS = TokenKeys.from_setting(TOKEN_KEYS)
MOST_ROUNDS = 5
KEY_VIEW = 2.0
"""Seconds after which a house looks for new keys again, as its worker would have."""
STATE = {
    "contacts": (
        "contacts",
        "contact_history",
        "nos",
        "tombstones",
        "plans",
        "plan_rows",
        "lifts",
        "outbox",
        "handovers",
    ),
    "suppression": (
        "ledger",
        "repeats",
        "subjects",
        "releases",
        "feed",
        "standing",
        "account_heads",
        "outbox",
    ),
}
"""Tables of an account that a replayed event must leave as they are: what is known, and what is told of it."""


class Wire(httpx.AsyncBaseTransport):
    """The way to a house, without a socket. It may be cut, and it remembers what was said over it, to say it again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.cut = False
        self.said: list[tuple[str, bytes]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.cut:
            raise httpx.ConnectError("cut by the test", request=request)
        body = await request.aread()
        over, asked, told = asyncio.Event(), [body], list[Message]()

        async def receive() -> Message:
            if asked:
                return {"type": "http.request", "body": asked.pop(), "more_body": False}
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            told.append(message)

        try:
            await self._app(_scope(request), receive, send)
        finally:
            over.set()
        if request.method == "POST":
            self.said.append((request.url.path, body))
        content = b"".join(message.get("body", b"") for message in told[1:])
        return httpx.Response(told[0]["status"], headers=told[0]["headers"], content=content, request=request)


def _scope(request: httpx.Request) -> dict[str, object]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, 80),
        "client": ("127.0.0.1", 1),
    }


@dataclass
class Street:
    """Both houses, the doors of a client, and hands that move what lies between the houses."""

    contacts: desk.Rig
    suppression: httpx.AsyncClient
    to_contacts: Wire
    to_suppression: Wire
    complete: Complete
    keyrings: tuple[KeyRing, ...]
    admin: asyncpg.Connection
    _lane: _Lane
    _files: _Lane
    pages: list[Any] = field(default_factory=list)
    """Pages of the feed that contacts has pulled, to be applied again."""

    async def fresh(self) -> desk.Client:
        """A new account, as a new history's. What earlier ones left for the bus is taken away."""
        for house in STATE:
            await self.admin.execute(f"TRUNCATE {house}.outbox")
        self.to_suppression.said.clear()
        self.pages.clear()
        client = await self.contacts.client()
        await self.look_for_keys(now=True)
        return client

    async def look_for_keys(self, *, now: bool = False) -> None:
        if self.to_contacts.cut:
            return
        for ring in self.keyrings:
            if now or ring.age > KEY_VIEW:
                await ring.pull()

    async def say_no(self, client: desk.Client, **wish: Any) -> httpx.Response:
        """The client's own opt-out system, at `POST /v1/suppressions`."""
        headers = {"Authorization": f"Bearer {client.key}"}
        return await self.suppression.post("/v1/suppressions", json=wish, headers=headers)

    async def take_back(self, client: desk.Client, entry: str) -> httpx.Response:
        """The client releases what it said itself."""
        headers = {"Authorization": f"Bearer {client.key}"}
        return await self.suppression.request(
            "DELETE", f"/v1/suppressions/{entry}", json={"reason": "said by mistake"}, headers=headers
        )

    async def ledger(self, client: desk.Client) -> list[dict[str, Any]]:
        """Every entry of the account."""
        headers = {"Authorization": f"Bearer {client.key}"}
        answer = await self.suppression.get("/v1/suppressions", params={"limit": 1000}, headers=headers)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def close(self, client: desk.Client) -> None:
        """The account is closed, and every house has heard of it."""
        closed = await client.ask("POST", f"/v1/accounts/{client.account}:close")
        assert (closed.status_code, closed.json()["state"]) == (200, "closed"), closed.text
        await self.look_for_keys(now=True)

    async def reopen(self, client: desk.Client) -> None:
        """The operator takes the closing back."""
        reopened = await self.contacts.operate("POST", f"/v1/accounts/{client.account}:reopen")
        assert (reopened.status_code, reopened.json()["state"]) == (200, "open"), reopened.text
        await self.look_for_keys(now=True)

    async def click(self, client: desk.Client, contact: UUID) -> httpx.Response:
        """The link of a mail that the contact once got."""
        token = TOKENS.mint(Purpose.UNSUBSCRIBE, Token(client.number, 7, contact))
        return await self.suppression.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})

    async def undo(self, client: desk.Client, import_id: str) -> httpx.Response:
        """ingest has heard its client take an import back."""
        path = f"/internal/accounts/{client.account}/imports/{import_id}:undo"
        return await self.contacts.http.post(path, headers={"Authorization": f"Bearer {desk.SERVICE}"})

    async def repost(self, path: str, body: bytes) -> None:
        """A hand-over that was answered, and whose answer was lost on the way."""
        headers = {"Authorization": f"Bearer {desk.SERVICE}", "Content-Type": "application/json"}
        answer = await self.suppression.post(path, content=body, headers=headers)
        assert answer.status_code < 300, answer.text

    async def follow(self) -> bool:
        """contacts pulls and applies one page of the feed. True when it held something."""
        return await self.contacts.follow.step()

    async def carry(self) -> None:
        """contacts hands over every "no" that waits."""
        while await self._lane.carry():
            pass

    async def carry_files(self) -> None:
        """contacts hands over what files ask of suppression: their "no"s, and what is to be lifted."""
        while await self._files.carry():
            pass

    async def settle(self, client: desk.Client) -> None:
        """Everything that was late arrives; also what contacts says again when it hears a "no" of a merged record."""
        for _ in range(MOST_ROUNDS):
            await self.carry_files()
            while await self.contacts.imports.step():
                pass
            await self.carry()
            await self.complete.round()
            await self.contacts.follow.catch_up()
            if not await self.waiting(client):
                return

    async def waiting(self, client: desk.Client) -> int:
        """Hand-overs that nobody has answered."""
        return int(
            await self.admin.fetchval(
                "SELECT count(*) FROM contacts.handovers WHERE account_id = $1 AND target LIKE 'suppression%'",
                client.account,
            )
        )

    async def state(self, client: desk.Client) -> dict[str, str]:
        """A digest of every table of the account, in both houses, and how far contacts has followed the feed."""
        position = "SELECT number::text FROM contacts.feed_position"
        found = {"contacts.feed_position": str(await self.admin.fetchval(position))}
        for house, tables in STATE.items():
            for table in tables:
                found[f"{house}.{table}"] = await self.admin.fetchval(
                    f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {house}.{table} t"
                    " WHERE account_id = $1",
                    client.account,
                )
        return found


@asynccontextmanager
async def street_on(admin_url: str, directory: Path) -> AsyncIterator[Street]:
    """The street on a database of its own in a cluster; the database goes with it."""
    name = f"t_{new_id().hex}"
    url = make_url(admin_url).set(database=name)
    root = await asyncpg.connect(admin_url)
    await root.execute(f'CREATE DATABASE "{name}"')
    try:
        async with AsyncExitStack() as stack:
            for house in STATE:
                await migrate(house, url.render_as_string(hide_password=False))
            admin = await asyncpg.connect(url.render_as_string(hide_password=False))
            stack.push_async_callback(admin.close)
            yield await _built(stack, admin, url, directory)
    finally:
        await root.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await root.close()


def _shared(url: Any, house: str) -> Shared:
    role = url.set(username=f"mailmaker_{house}", password=None)
    return Shared(
        database_url=SecretStr(role.render_as_string(hide_password=False)),
        service_token=SecretStr(desk.SERVICE),
        token_keys=SecretStr(TOKEN_KEYS),
        pepper=SecretStr(base64.urlsafe_b64encode(desk.PEPPER).decode()),
        operator_key_hash=SecretStr(hashlib.sha256(desk.OPERATOR.encode()).hexdigest()),
    )


async def _built(stack: AsyncExitStack, admin: asyncpg.Connection, url: Any, directory: Path) -> Street:
    bus, ingest, dispatch = MemoryBus(), desk.Ingest(), desk.Dispatch()
    contacts = await contacts_main.build(ContactsSettings(), _shared(url, "contacts"), bus)
    suppression = await suppression_main.build(
        SuppressionSettings(journal=directory / "journal", page_wait=0), _shared(url, "suppression"), bus
    )
    house: Contacts = contacts.app.state.house
    to_contacts, to_suppression = Wire(contacts.app), Wire(suppression.app)
    suppression.app.state.house.contacts._client._transport = to_contacts
    house.feed._suppression._transport = to_suppression
    house.ingest._transport = httpx.MockTransport(ingest.answer)
    house.dispatch._transport = httpx.MockTransport(dispatch.answer)
    for running in (contacts, suppression):
        for resource in running.resources:
            await resource.open()
            stack.push_async_callback(resource.close)
    handed = InternalClient("http://suppression", SecretStr(desk.SERVICE), transport=to_suppression)
    await handed.open()
    stack.push_async_callback(handed.close)
    http = await stack.enter_async_context(_client(contacts, "contacts"))
    follow, imports = _worker(contacts, FollowSuppressions), _worker(contacts, RunImports)
    keyring: KeyRing = contacts.app.state.keyring
    rig = desk.Rig(house.db, house, follow, imports, keyring, http, desk.Suppression(), ingest, dispatch)
    street = Street(
        rig,
        await stack.enter_async_context(_client(suppression, "suppression")),
        to_contacts,
        to_suppression,
        _worker(suppression, Complete),
        (keyring, suppression.app.state.keyring),
        admin,
        _Lane(house.db, "suppression", handed, uncounted()),
        _Lane(house.db, FILES, handed, uncounted()),
    )
    _overheard(house, street)
    return street


def _overheard(house: Contacts, street: Street) -> None:
    """Keeps the pages of the feed that contacts pulls."""
    pull = house.feed.pull

    async def heard(after: int, **more: Any) -> Any:
        page = await pull(after, **more)
        if page.items:
            street.pages.append(page)
        return page

    house.feed.pull = heard  # type: ignore[method-assign]


def _client(running: Running, house: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=Wire(running.app), base_url=f"http://{house}", timeout=30)


def _worker(running: Running, kind: type[Any]) -> Any:
    return next(worker for worker in running.workers if isinstance(worker, kind))
