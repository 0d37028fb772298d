"""integration: custom fields are renamed and retired without a contact being rewritten; an account's quota of lists."""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import UUID

from contacts_house import Client, Rig


async def _put(client: Client, list_id: UUID, *fields: dict[str, Any]) -> dict[str, Any]:
    answer = await client.ask("PUT", f"/v1/lists/{list_id}/fields", {"fields": list(fields)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _faults(client: Client, list_id: UUID, *fields: dict[str, Any]) -> list[tuple[str, str]]:
    answer = await client.ask("PUT", f"/v1/lists/{list_id}/fields", {"fields": list(fields)})
    assert answer.status_code == 422, answer.text
    return [(e["pointer"], e["code"]) for e in answer.json()["errors"]]


async def _kept(rig: Rig, client: Client) -> list[tuple[Any, int]]:
    async with rig.db.account(client.account) as tx:
        rows = await tx.driver.fetch("SELECT custom, version FROM contacts ORDER BY id")
    return [(row["custom"], row["version"]) for row in rows]


async def test_a_renamed_field_keeps_its_values_and_a_new_one_of_that_name_has_its_own(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    path = f"/v1/lists/{list_id}"
    made = await _put(client, list_id, {"name": "points", "type": "number"})
    assert made["fields"] == [{"id": "points", "name": "points", "type": "number", "values": []}]
    contact = await client.put(list_id, email="a@example.com", custom={"points": 3})
    before = await _kept(rig, client)
    renamed = await client.ask("PATCH", f"{path}/fields/points", {"name": "score"})
    assert [f["name"] for f in renamed.json()["fields"]] == ["score"]
    assert await _kept(rig, client) == before
    again = await _put(
        client,
        list_id,
        {"id": "points", "name": "score", "type": "number"},
        {"name": "points", "type": "text"},
    )
    assert [(f["id"], f["name"]) for f in again["fields"]] == [("points", "score"), ("1", "points")]
    assert (await client.contacts(list_id))["a@example.com"]["custom"] == {"score": 3}
    changed = await client.ask("PATCH", f"{path}/contacts/{contact['id']}", {"custom": {"points": "many"}})
    assert changed.json()["custom"] == {"score": 3, "points": "many"}
    history = (await client.ask("GET", f"{path}/contacts/{contact['id']}/history")).json()["items"]
    assert [(h["after"].get("custom.score"), h["after"].get("custom.points")) for h in history] == [
        (3, None),
        (None, "many"),
    ]
    unknown = await client.ask("PATCH", f"{path}/fields/nothing", {"name": "x"})
    assert unknown.status_code == 404


async def test_a_retired_field_is_unseen_until_it_comes_back(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    both = ({"name": "points", "type": "number"}, {"name": "note", "type": "text"})
    await _put(client, list_id, *both)
    await client.put(list_id, email="a@example.com", custom={"points": 3, "note": "x"})
    gone = await _put(client, list_id, both[1])
    assert ([f["name"] for f in gone["fields"]], [f["name"] for f in gone["retired"]]) == (
        ["note"],
        ["points"],
    )
    assert (await client.contacts(list_id))["a@example.com"]["custom"] == {"note": "x"}
    refused = await client.ask(
        "PUT", f"/v1/lists/{list_id}/contacts", {"email": "a@example.com", "custom": {"points": 4}}
    )
    assert [(e["pointer"], e["code"]) for e in refused.json()["errors"]] == [
        ("/custom/points", "field.unknown")
    ]
    # A write in between does not lose what is not seen.
    await client.put(list_id, email="a@example.com", custom={"note": "y"})
    back = await client.ask("PATCH", f"/v1/lists/{list_id}/fields/points", {"retired": False})
    assert [f["name"] for f in back.json()["fields"]] == ["note", "points"]
    assert (await client.contacts(list_id))["a@example.com"]["custom"] == {"note": "y", "points": 3}
    row = (await rig.inside(f"/internal/lists/{list_id}")).json()
    assert [(f["name"], f["key"]) for f in row["fields"]] == [("note", "note"), ("points", "points")]


async def test_a_type_or_an_enums_value_that_contacts_hold_stays(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    tier = {"name": "tier", "type": "enum", "values": ["gold", "silver", "iron"]}
    await _put(client, list_id, tier, {"name": "points", "type": "number"})
    await client.put(list_id, email="a@example.com", custom={"tier": "gold"})
    less = {**tier, "values": ["silver", "iron"]}
    points = {"name": "points", "type": "text"}
    assert await _faults(client, list_id, less, points) == [("/fields/0/values", "field.value_in_use")]
    text = {"name": "tier", "type": "text"}
    assert await _faults(client, list_id, text) == [("/fields/0/type", "field.type_in_use")]
    # What nobody holds may change.
    free = await _put(client, list_id, {**tier, "values": ["gold", "bronze"]}, points)
    assert [(f["type"], f["values"]) for f in free["fields"]] == [("enum", ["gold", "bronze"]), ("text", [])]
    patched = await client.ask("PATCH", f"/v1/lists/{list_id}/fields/tier", {"values": ["bronze"]})
    assert [(e["pointer"], e["code"]) for e in patched.json()["errors"]] == [
        ("/values", "field.value_in_use")
    ]
    taken = await client.ask("PATCH", f"/v1/lists/{list_id}/fields/tier", {"name": "points"})
    assert [(e["pointer"], e["code"]) for e in taken.json()["errors"]] == [("/name", "field.twice")]


async def test_files_segments_and_audiences_reach_a_renamed_field(rig: Rig) -> None:
    client = await rig.client()
    one, two = await client.open_list(), await client.open_list()
    for list_id in (one, two):
        await _put(client, list_id, {"name": "points", "type": "number"})
    await _put(
        client, one, {"id": "points", "name": "score", "type": "number"}, {"name": "points", "type": "number"}
    )
    rows = [{"email": "a@example.com", "custom": '{"1":7,"points":5}'}]
    plan = await rig.import_rows(client, one, rows, fields=["email"], custom=["points", "1"])
    assert plan["counts"]["created"] == 1, plan
    shown = (await client.ask("GET", f"/v1/plans/{plan['import_id']}/rows")).json()["items"]
    assert shown[0]["after"] == {
        "email": "a@example.com", "email_consent": "subscribed", "sms_consent": "subscribed",
        "custom.score": 5, "custom.points": 7,
    }  # fmt: skip
    await client.put(two, email="b@example.com", custom={"points": 9})
    stream = await rig.inside(
        "/internal/audience", account=str(client.account), channel="email", list=[str(one), str(two)],
        fields="points,score",
    )  # fmt: skip
    merge = {row[4]: row[7] for row in csv.reader(io.StringIO(stream.text))}
    assert merge == {"a@example.com": '{"points":7,"score":5}', "b@example.com": '{"points":9}'}
    for name, value in (("points", 7), ("score", 5)):
        rule = {"rule": {"field": f"custom.{name}", "op": "eq", "value": value}}
        count = await client.ask("POST", f"/v1/lists/{one}/segments:count", rule)
        assert count.json()["count"] == 1, count.text


async def test_an_accounts_quota_of_lists_is_the_operators_to_set(rig: Rig) -> None:
    client = await rig.client()
    account = await client.ask("GET", f"/v1/accounts/{client.account}")
    assert account.json()["most_lists"] == 500
    set_to = await rig.operate("PATCH", f"/v1/accounts/{client.account}", {"most_lists": 1})
    assert set_to.json()["most_lists"] == 1
    first = await client.open_list()
    wish = {"name": "x", "controller": {"name": "A", "email": "a@b.it"}}
    refused = await client.ask("POST", "/v1/lists", wish)
    assert (refused.status_code, refused.json()["code"]) == (409, "list_quota_reached")
    assert (await client.ask("DELETE", f"/v1/lists/{first}")).status_code == 204
    assert (await client.ask("POST", "/v1/lists", wish)).status_code == 201
    assert (
        await rig.operate("PATCH", f"/v1/accounts/{client.account}", {"most_lists": -1})
    ).status_code == 422
