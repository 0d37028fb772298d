"""integration: lists as files: whole or not at all, safe in a spreadsheet, gone when they have to be."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from contacts_house import Client, Rig
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.forget_exports import ForgetExports
from mailmaker.contacts.actions.run_exports import RunExports
from mailmaker.contacts.storage import exports as stored
from python_calamine import CalamineWorkbook


async def ask(client: Client, list_id: UUID, **asked: Any) -> dict[str, Any]:
    answer = await client.ask("POST", f"/v1/lists/{list_id}/exports", asked)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def made(rig: Rig, client: Client, list_id: UUID, **asked: Any) -> dict[str, Any]:
    export = await ask(client, list_id, **asked)
    await RunExports(rig.house).step()
    return await seen(client, export)


async def seen(client: Client, export: dict[str, Any]) -> dict[str, Any]:
    answer = await client.ask("GET", f"/v1/lists/{export['list']}/exports/{export['id']}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def file_of(client: Client, export: dict[str, Any]) -> bytes:
    answer = await client.ask("GET", export["download_url"])
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == export["size"] == int(answer.headers["content-length"])
    return answer.content


async def rows_of(client: Client, export: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((await file_of(client, export)).decode(), newline="")))


async def a_list(client: Client) -> UUID:
    list_id = await client.open_list()
    await client.put(list_id, email="ann@x.it", name="=1+1", mobile="+393331234567", birth_date="1980-02-29")
    await client.put(list_id, email="bob@x.it", name="'@home", email_consent="unsubscribed")
    return list_id


async def test_a_list_is_a_file_with_every_field(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    fields = [{"name": "shoe_size", "type": "number"}, {"name": "vip", "type": "boolean"}]
    assert (await client.ask("PUT", f"/v1/lists/{list_id}/fields", {"fields": fields})).status_code == 200
    await client.put(
        list_id, email="ann@x.it", name="=cmd|' /C calc'!A0", mobile="+393331234567",
        custom={"shoe_size": -38.5, "vip": True},
    )  # fmt: skip

    waiting = await ask(client, list_id)
    assert (waiting["state"], waiting["download_url"]) == ("waiting", None)
    assert (await client.ask("GET", f"/v1/lists/{list_id}/exports/{waiting['id']}/file")).status_code == 409
    assert await RunExports(rig.house).step()
    export = await seen(client, waiting)
    assert (export["state"], export["progress"]) == ("ready", {"done": 1, "total": 1})
    (row,) = await rows_of(client, export)
    assert list(row) == export["columns"]
    assert row["email"] == "ann@x.it"
    assert (row["name"], row["mobile"]) == ("'=cmd|' /C calc'!A0", "'+393331234567")
    assert (row["shoe_size"], row["vip"], row["email_consent"]) == ("-38.5", "true", "subscribed")
    assert row["surname"] == ""

    sheet = await made(
        rig, client, list_id, format="xlsx", columns=["name", "mobile", "shoe_size", "vip", "id"]
    )
    book = CalamineWorkbook.from_filelike(io.BytesIO(await file_of(client, sheet)))
    header, cells = book.get_sheet_by_index(0).to_python()
    assert header == ["name", "mobile", "shoe_size", "vip", "id"]
    assert cells[:4] == ["=cmd|' /C calc'!A0", "+393331234567", -38.5, True]
    listed = (await client.ask("GET", f"/v1/lists/{list_id}/exports")).json()["items"]
    assert [one["id"] for one in listed] == [export["id"], sheet["id"]]


async def test_a_segment_or_a_consent_narrows_it(rig: Rig) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    rule = {"field": "name", "op": "contains", "value": "home"}
    answer = await client.ask("POST", f"/v1/lists/{list_id}/segments", {"name": "Home", "rule": rule})
    segment = answer.json()["id"]
    export = await made(rig, client, list_id, segment=segment, columns=["email", "name"])
    assert await rows_of(client, export) == [{"email": "bob@x.it", "name": "''@home"}]
    export = await made(rig, client, list_id, consent={"email": "subscribed"}, columns=["email"])
    assert await rows_of(client, export) == [{"email": "ann@x.it"}]
    for wrong, code in (
        ({"segment": str(new_id())}, "segment.unknown"),
        ({"columns": ["email", "shoe"]}, "column.unknown"),
        ({"columns": ["email", "email"]}, "column.twice"),
    ):
        answer = await client.ask("POST", f"/v1/lists/{list_id}/exports", wrong)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)


async def test_another_account_finds_nothing(rig: Rig) -> None:
    client, other = await rig.client(), await rig.client("Bianchi")
    list_id = await a_list(client)
    export = await made(rig, client, list_id)
    path = f"/v1/lists/{list_id}/exports"
    for method, where in (
        ("POST", path),
        ("GET", path),
        ("GET", f"{path}/{export['id']}"),
        ("GET", f"{path}/{export['id']}/file"),
        ("DELETE", f"{path}/{export['id']}"),
    ):
        answer = await other.ask(method, where, {} if method == "POST" else None)
        assert answer.status_code == 404, (method, where)
    assert await rows_of(client, export)


async def test_an_erasure_takes_the_files_away_and_begins_again_what_is_under_way(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    export = await made(rig, client, list_id)
    running, reached, go = await ask(client, list_id), asyncio.Event(), asyncio.Event()
    ready = stored.ready

    async def held(*args: Any) -> bool:
        reached.set()
        await go.wait()
        return await ready(*args)

    monkeypatch.setattr(stored, "ready", held)
    working = asyncio.create_task(RunExports(rig.house).step())
    await asyncio.wait_for(reached.wait(), 10)
    bob = (await client.contacts(list_id))["bob@x.it"]
    erased = await client.ask("POST", f"/v1/lists/{list_id}/contacts/{bob['id']}:erase")
    assert erased.status_code == 204, erased.text
    go.set()
    assert await working

    gone = await seen(client, export)
    assert (gone["state"], gone["error"]["code"], gone["download_url"]) == ("removed", "export.erasure", None)
    assert (await client.ask("GET", export["download_url"])).status_code == 409
    assert (await seen(client, running))["state"] == "waiting"
    async with rig.db.account(client.account) as tx:
        assert await tx.driver.fetchval("SELECT count(*) FROM export_chunks") == 0
        await tx.driver.execute("UPDATE exports SET due_at = now()")
    assert await RunExports(rig.house).step()
    again = await seen(client, running)
    assert [row["email"] for row in await rows_of(client, again)] == ["ann@x.it"]


async def test_a_file_is_forgotten_after_its_last_day_or_on_request(rig: Rig) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    export, asked_away = await made(rig, client, list_id), await made(rig, client, list_id)
    assert (await client.ask("DELETE", f"/v1/lists/{list_id}/exports/{asked_away['id']}")).status_code == 204
    assert (await seen(client, asked_away))["state"] == "removed"
    forget = ForgetExports(rig.house)
    assert await forget.forget_old() == 0
    async with rig.db.account(client.account) as tx:
        await tx.driver.execute(
            "UPDATE exports SET expires_at = expires_at - $1::interval", timedelta(days=8)
        )
    assert await forget.forget_old() == 1
    assert (await seen(client, export))["state"] == "expired"
    async with rig.db.account(client.account) as tx:
        assert await tx.driver.fetchval("SELECT count(*) FROM export_chunks") == 0


async def test_a_sheet_has_so_many_rows_and_no_more(rig: Rig) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    export = await ask(client, list_id, format="xlsx")
    assert await RunExports(rig.house, most_rows=1).step()
    failed = await seen(client, export)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "export.too_many_rows")
    # As CSV it has no such limit.
    assert (await made(rig, client, list_id))["state"] == "ready"


async def test_what_fell_is_tried_again_and_then_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    export = await ask(client, list_id)

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(stored, "add_chunk", broken)
    states = []
    for _ in range(6):
        async with rig.db.account(client.account) as tx:
            await tx.driver.execute("UPDATE exports SET due_at = now()")
        await RunExports(rig.house).step()
        states.append((await seen(client, export))["state"])
    assert states == ["waiting"] * 5 + ["failed"]


async def test_a_process_that_is_killed_leaves_no_half_file(rig: Rig) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    export = await ask(client, list_id)
    url = rig.db._dsn.render_as_string(hide_password=False)
    crasher = Path(__file__).with_name("export_crasher.py")
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(crasher), url, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    try:
        assert await asyncio.wait_for(child.stdout.readline(), 60) == b"in the middle\n"
        assert (await seen(client, export))["state"] == "running"
        assert not await RunExports(rig.house).step(), "it is somebody's"
    finally:
        child.kill()
        await child.wait()
    async with asyncio.timeout(30):
        while True:
            if await RunExports(rig.house).step():
                break
            await asyncio.sleep(0.05)
    assert [row["email"] for row in await rows_of(client, await seen(client, export))] == [
        "ann@x.it",
        "bob@x.it",
    ]
    async with rig.db.account(client.account) as tx:
        assert await tx.driver.fetchval("SELECT count(*) FROM export_chunks") == 1


async def test_two_workers_do_not_make_one_file_twice(rig: Rig) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    export = await ask(client, list_id)
    worked = await asyncio.gather(*(RunExports(rig.house, n).step() for n in range(4)))
    assert worked.count(True) == 1
    assert (await seen(client, export))["state"] == "ready"


async def test_so_many_exports_wait_and_no_more(rig: Rig) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    for _ in range(20):
        await ask(client, list_id)
    answer = await client.ask("POST", f"/v1/lists/{list_id}/exports", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "export.too_many")
