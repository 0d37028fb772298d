"""integration: the export of an account gathers from every house, waits for one that is away, and is never incomplete;
what waits when an account is closed goes on waiting, but for a "no"."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from contacts_house import SERVICE, Client, Rig
from mailmaker.common.contracts.archives import PARTS
from mailmaker.common.storage.engine import Database
from mailmaker.common.web.internal import InternalClient
from mailmaker.contacts.actions import gather_account
from mailmaker.contacts.actions.apply_opt_outs import LANE
from mailmaker.contacts.actions.close_account import EmptyAccounts
from mailmaker.contacts.actions.run_exports import RunExports
from mailmaker.contacts.storage import archive
from pydantic import SecretStr


@dataclass
class Elsewhere:
    """The other houses, as far as an export asks them. `broken`: how the next answer of a house fails."""

    rows: int = 3
    broken: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    slow: float = 0.0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        house = request.url.host
        self.asked.append(house)
        assert request.headers["authorization"] == f"Bearer {SERVICE}"
        account = request.url.path.split("/")[3]
        assert request.url.path == f"/internal/accounts/{account}/archive"
        how = self.broken.pop(house, "")
        if how == "away":
            raise httpx.ConnectError("nobody is there")
        if how in ("503", "404"):
            return httpx.Response(int(how))
        return httpx.Response(200, content=self._stream(house, account, how))

    async def _stream(self, house: str, account: str, how: str) -> AsyncIterator[bytes]:
        for name in PARTS[house]:
            for n in range(self.rows):
                row = json.dumps({"account_id": account, "n": n, "says": 'a "word", a\u2028line'})
                yield f"{name},{_quoted(row)}\n".encode()
                await asyncio.sleep(self.slow)
            if how == "cut":
                return
            if how == "reset":
                raise httpx.ReadError("the connection broke")
        yield b"end,\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@asynccontextmanager
async def gathering(rig: Rig, elsewhere: Elsewhere) -> AsyncIterator[Rig]:
    """The rig with other houses to ask."""
    clients = {
        name: InternalClient(
            f"http://{name}", SecretStr(SERVICE), transport=httpx.MockTransport(elsewhere.answer)
        )
        for name in PARTS
    }
    for client in clients.values():
        await client.open()
    yield replace(rig, house=replace(rig.house, archives=clients))
    for client in clients.values():
        await client.close()


@contextmanager
def opened(data: bytes) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        yield file


async def asked(client: Client) -> str:
    answer = await client.ask("POST", f"/v1/accounts/{client.account}:export")
    assert answer.status_code == 202, answer.text
    return f"/v1/accounts/{client.account}/exports/{answer.json()['id']}"


async def state(client: Client, path: str) -> dict[str, Any]:
    return dict((await client.ask("GET", path)).json())


async def at_once(rig: Rig) -> None:
    """What was put off is due."""
    async with rig.db.platform() as tx:
        await tx.driver.execute("UPDATE exports SET due_at = now()")


async def test_an_export_holds_the_parts_of_every_house(rig: Rig) -> None:
    client, elsewhere = await rig.client(), Elsewhere(rows=500)
    await client.put(await client.open_list(), email="ann@x.it", name="Ann")
    async with gathering(rig, elsewhere) as rig:
        path = await asked(client)
        assert await RunExports(rig.house).step()
        found = await state(client, path)
        assert found["state"] == "ready", found
        data = (await client.ask("GET", found["download_url"])).content
    names = [*archive.PARTS, *(name for names in PARTS.values() for name in names)]
    with opened(data) as file:
        assert file.namelist() == names
        for name in (name for names in PARTS.values() for name in names):
            rows = [json.loads(line) for line in file.read(name).decode().split("\n")[:-1]]
            assert [row["n"] for row in rows] == list(range(500)), name
            assert {row["account_id"] for row in rows} == {str(client.account)}
            assert rows[0]["says"] == 'a "word", a\u2028line'
        assert b"ann@x.it" in file.read("contacts.jsonl")


@pytest.mark.parametrize("how", ["away", "503", "404", "cut", "reset"])
async def test_a_house_that_is_away_makes_it_wait_and_nothing_incomplete_is_given_out(
    rig: Rig, how: str
) -> None:
    client, elsewhere = await rig.client(), Elsewhere(broken={"dispatch": how})
    async with gathering(rig, elsewhere) as rig:
        path = await asked(client)
        assert await RunExports(rig.house).step()
        waits = await state(client, path)
        assert (waits["state"], waits["download_url"]) == ("waiting", None)
        async with rig.db.platform() as tx:
            assert await tx.driver.fetchval("SELECT count(*) FROM export_chunks") == 0
            assert await tx.driver.fetchval("SELECT attempts FROM exports") == 0, (
                "it is not the export's fault"
            )
        assert not await RunExports(rig.house).step(), "not at once again"
        await at_once(rig)
        assert await RunExports(rig.house).step()
        found = await state(client, path)
        assert found["state"] == "ready"
        data = (await client.ask("GET", found["download_url"])).content
        with opened(data) as file:
            assert len(file.read("fbl/reports.jsonl").splitlines()) == 3


async def test_it_does_not_wait_for_ever(rig: Rig) -> None:
    client, elsewhere = await rig.client(), Elsewhere(broken={"fbl": "away"})
    async with gathering(rig, elsewhere) as rig:
        path = await asked(client)
        async with rig.db.platform() as tx:
            await tx.driver.execute("UPDATE exports SET created_at = created_at - interval '25 hours'")
        assert await RunExports(rig.house).step()
        found = await state(client, path)
    assert (found["state"], found["error"]["code"]) == ("failed", "export.house_away")


async def test_a_slow_house_does_not_cost_the_snapshot(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL ends a transaction in which nobody speaks, soon here; each row of the other house takes longer."""
    monkeypatch.setattr(gather_account, "AWAKE", 0.05)
    client, elsewhere = await rig.client(), Elsewhere(rows=1, slow=1.0)
    fresh = Database(rig.db._dsn.render_as_string(hide_password=False), house="contacts")
    try:
        await _patience(rig, "500ms")
        await fresh.open()
        async with gathering(rig, elsewhere) as rig:
            path = await asked(client)
            assert await RunExports(replace(rig.house, db=fresh)).step()
            assert (await state(client, path))["state"] == "ready"
    finally:
        await fresh.close()
        await _patience(rig, "5s")


async def _patience(rig: Rig, how_long: str) -> None:
    """Of PostgreSQL with this role's new sessions."""
    async with rig.db.connection() as conn:
        await conn.execute(f"ALTER ROLE CURRENT_USER SET idle_in_transaction_session_timeout = '{how_long}'")


async def opt_out(rig: Rig, client: Client, list_id: UUID) -> str:
    """An opt-out file of one person, staged."""
    row = {"email": "leaving@x.it", "mobile": "", "fkey": ""}
    import_id, staged = rig.stage([row], list(row), seed="no")
    await rig.hear(client, list_id, import_id, staged, list(row), mode="opt_out")
    return import_id


async def test_imports_of_a_closed_account_wait_but_for_opt_outs(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    fields = ["email"]
    waits, many = rig.stage([{"email": "ann@x.it"}], fields)
    await rig.hear(client, list_id, waits, many, fields)
    no = await opt_out(rig, client, list_id)
    await rig.operate("POST", f"/v1/accounts/{client.account}:close")

    async def states() -> dict[str, str]:
        async with rig.db.platform() as tx:
            rows = await tx.driver.fetch("SELECT import_id::text AS id, state FROM plans")
        return {row["id"]: row["state"] for row in rows}

    while await rig.imports.step():
        pass
    assert (await states())[waits] == "staged"
    assert (await states())[no] == "applied"
    assert len(await rig.handed_over(LANE)) == 1

    await rig.operate("POST", f"/v1/accounts/{client.account}:reopen")
    async with rig.db.platform() as tx:
        await tx.driver.execute("UPDATE plans SET due_at = now() WHERE due_at IS NOT NULL")
    while await rig.imports.step():
        pass
    assert (await states())[waits] == "applied"


async def test_an_account_is_not_emptied_while_its_opt_outs_are_handed_over(rig: Rig) -> None:
    client = await rig.client()
    await opt_out(rig, client, await client.open_list())
    await rig.operate("POST", f"/v1/accounts/{client.account}:close")
    hasty = EmptyAccounts(replace(rig.house, account_grace=timedelta(0)))
    assert await hasty.empty(asyncio.Event()) == 0
    while await rig.imports.step():
        pass
    async with rig.db.platform() as tx:
        # suppression has answered for all of it.
        await tx.driver.execute("DELETE FROM handovers")
    while await rig.imports.step():
        pass
    assert await hasty.empty(asyncio.Event()) == 1
