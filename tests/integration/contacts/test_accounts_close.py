"""integration: an account takes its data out, closes, may think again for a while, and is forgotten but for its "no"s."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from contacts_house import Client, Rig
from mailmaker.common.contracts.accounts import AccountChanged, AccountEmptied
from mailmaker.contacts.actions.close_account import EmptyAccounts
from mailmaker.contacts.actions.run_exports import RunExports


async def filled(rig: Rig, client: Client) -> UUID:
    """A list with everything in it, a person who said no, and one who was erased."""
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, [{"email": "ann@x.it", "name": "Ann"}, {"email": "gone@x.it"}])
    await client.put(list_id, email="bob@x.it", name="Bob")
    rig.suppression.say(client.account, [rig.email_subject(client, "bob@x.it")])
    await rig.follow.catch_up()
    gone = (await client.contacts(list_id))["gone@x.it"]
    await client.ask("POST", f"/v1/lists/{list_id}/contacts/{gone['id']}:erase")
    rule = {"field": "name", "op": "eq", "value": "Ann"}
    await client.ask("POST", f"/v1/lists/{list_id}/segments", {"name": "Anns", "rule": rule})
    return list_id


async def exported(rig: Rig, client: Client, path: str) -> dict[str, list[dict[str, Any]]]:
    assert await RunExports(rig.house).step()
    found = (await client.ask("GET", path)).json()
    assert found["state"] == "ready", found
    data = (await client.ask("GET", found["download_url"])).content
    assert len(data) == found["size"]
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        return {
            name: [json.loads(line) for line in file.read(name).decode().splitlines()]
            for name in file.namelist()
        }


async def test_an_account_takes_all_its_data_out(rig: Rig) -> None:
    client, other = await rig.client(), await rig.client("Bianchi")
    await filled(rig, other)
    list_id = await filled(rig, client)
    asked = await client.ask("POST", f"/v1/accounts/{client.account}:export")
    assert asked.status_code == 202, asked.text
    path = f"/v1/accounts/{client.account}/exports/{asked.json()['id']}"
    found = await exported(rig, client, path)
    assert list(found) == [
        "account.jsonl",
        "api_keys.jsonl",
        "lists.jsonl",
        "fields.jsonl",
        "segments.jsonl",
        "imports.jsonl",
        "contacts.jsonl",
        "history.jsonl",
    ]
    assert {row["email"]: row["email_consent"] for row in found["contacts.jsonl"]} == {
        "ann@x.it": "subscribed",
        "bob@x.it": "unsubscribed",
    }
    assert [row["id"] for row in found["lists.jsonl"]] == [str(list_id)]
    assert found["segments.jsonl"][0]["rule"]["value"] == "Ann"
    assert found["imports.jsonl"][0]["counts"]["created"] == 2
    assert "secret_hash" not in found["api_keys.jsonl"][0]
    assert {row["account_id"] for rows in found.values() for row in rows} == {str(client.account)}
    for method, where in (
        ("POST", f"/v1/accounts/{client.account}:export"),
        ("POST", f"/v1/accounts/{client.account}:close"),
        ("GET", path),
        ("GET", f"{path}/file"),
    ):
        assert (await other.ask(method, where)).status_code == 404, where
    # Somebody is erased: no file that names them stays.
    ann = (await client.contacts(list_id))["ann@x.it"]
    await client.ask("POST", f"/v1/lists/{list_id}/contacts/{ann['id']}:erase")
    gone = await client.ask("GET", f"{path}/file")
    assert (gone.status_code, gone.json()["code"]) == (409, "export.no_file")


async def test_a_closed_account_opens_no_door_and_can_be_reopened_for_a_while(rig: Rig) -> None:
    client = await rig.client()
    list_id = await filled(rig, client)
    closed = await client.ask("POST", f"/v1/accounts/{client.account}:close")
    assert (closed.status_code, closed.json()["state"]) == (200, "closed")
    assert closed.json()["closed_at"] is not None
    await rig.keyring.pull()
    for method, path in (("GET", "/v1/lists"), ("PUT", f"/v1/lists/{list_id}/contacts")):
        refused = await client.ask(method, path, {"email": "new@x.it"} if method == "PUT" else None)
        assert (refused.status_code, refused.json()["code"]) == (403, "account_closed")
    again = await rig.operate("POST", f"/v1/accounts/{client.account}:close")
    assert again.json() == closed.json()
    assert await EmptyAccounts(rig.house).empty(asyncio.Event()) == 0

    reopened = await rig.operate("POST", f"/v1/accounts/{client.account}:reopen")
    assert (reopened.status_code, reopened.json()["state"]) == (200, "open")
    await rig.keyring.pull()
    assert set(await client.contacts(list_id)) == {"ann@x.it", "bob@x.it"}
    states = [e.state for e in await rig.events(AccountChanged) if e.account_id == client.account]
    assert states == ["open", "closed", "open"]


async def test_after_the_grace_only_what_says_no_is_left(rig: Rig) -> None:
    client, other = await rig.client(), await rig.client("Bianchi")
    await filled(rig, client)
    kept = await filled(rig, other)
    await rig.operate("POST", f"/v1/accounts/{client.account}:export")
    assert await RunExports(rig.house).step()
    await rig.operate("POST", f"/v1/accounts/{client.account}:close")
    hasty = EmptyAccounts(replace(rig.house, account_grace=timedelta(0)))
    assert await hasty.empty(asyncio.Event()) == 1
    assert await hasty.empty(asyncio.Event()) == 0

    async with rig.db.account(client.account) as tx:
        left = {
            table: await tx.driver.fetchval(f"SELECT count(*) FROM {table} WHERE account_id = $1", client.account)
            for table in (
                "contacts", "contact_history", "plans", "plan_rows", "exports", "export_chunks", "segments",
                "segment_rules", "engagement", "nos", "tombstones", "lists",
            )
        }  # fmt: skip
        told = await tx.driver.fetch("SELECT name, controller_email FROM lists")
    assert left.pop("nos") >= 1
    assert left.pop("tombstones") >= 1
    assert left.pop("lists") == 1
    assert set(left.values()) == {0}, left
    assert [tuple(row) for row in told] == [("-", "-")]
    late = await rig.operate("POST", f"/v1/accounts/{client.account}:reopen")
    assert (late.status_code, late.json()["code"]) == (409, "account_state")
    (event,) = await rig.events(AccountEmptied)
    assert event.account_id == client.account
    assert set(await other.contacts(kept)) == {"ann@x.it", "bob@x.it"}
