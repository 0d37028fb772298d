"""integration: an applied import is taken back: what changed since stays, no consent is raised, nobody erased returns."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from contacts_house import Client, Rig
from mailmaker.common.contracts.contacts import (
    ContactsChanged,
    ContactsRemoved,
    ContactsRestored,
    ImportUndone,
)

ROWS = [{"email": f"p{i}@example.com", "name": f"N{i}", "city": "Roma"} for i in range(5)]


async def undone(rig: Rig, client: Client, plan: dict[str, Any]) -> dict[str, Any]:
    path = f"/internal/accounts/{client.account}/imports/{plan['import_id']}:undo"
    asked = await rig.http.post(path, headers={"Authorization": f"Bearer {'s' * 40}"})
    assert asked.status_code == 204, asked.text
    assert await rig.imports.step()
    found: dict[str, Any] = (await client.ask("GET", f"/v1/plans/{plan['import_id']}")).json()
    return found


async def verdicts(client: Client, plan: dict[str, Any]) -> dict[str, str | None]:
    rows = (await client.ask("GET", f"/v1/plans/{plan['import_id']}/rows")).json()["items"]
    return {row["contact"]: row["undone"] for row in rows}


async def test_an_undo_restores_what_nobody_has_changed_since(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, ROWS)
    before = await client.contacts(list_id)
    changed = [
        {"email": "p0@example.com", "name": "Changed", "city": "Bari", "birth_date": "1980-02-29"},
        {"email": "p1@example.com", "name": "Changed", "city": "Bari", "birth_date": ""},
        {"email": "p2@example.com", "name": "Changed", "city": "Roma", "birth_date": ""},
        {"email": "p3@example.com", "name": "N3", "city": "Roma", "birth_date": ""},
        {"email": "new@example.com", "name": "New", "city": "", "birth_date": ""},
        {"email": "kept@example.com", "name": "New", "city": "", "birth_date": ""},
    ]
    plan = await rig.import_rows(client, list_id, changed, mode="full")
    assert (plan["counts"]["updated"], plan["counts"]["created"], plan["counts"]["removed"]) == (3, 2, 1)
    during = await client.contacts(list_id)
    # Since then: one of p1's two fields, all of p2's, and one of the new contacts were written again.
    for email, name in (
        ("p1@example.com", "Later"),
        ("p2@example.com", "Later"),
        ("kept@example.com", "Later"),
    ):
        await client.put(list_id, email=email, name=name)
    found = await undone(rig, client, plan)
    assert (found["state"], found["undone"]) == ("undone", {"restored": 3, "partly": 1, "kept": 2})
    assert found["applied"] == plan["applied"]
    after = await client.contacts(list_id)
    assert sorted(after) == ["kept@example.com", *sorted(before)]
    for email in ("p0@example.com", "p3@example.com", "p4@example.com"):
        for field in ("id", "name", "city", "birth_date", "email_consent", "created_at"):
            assert after[email][field] == before[email][field], (email, field)
    assert (after["p1@example.com"]["name"], after["p1@example.com"]["city"]) == ("Later", "Roma")
    assert (after["p2@example.com"]["name"], after["kept@example.com"]["name"]) == ("Later", "Later")
    assert after["p4@example.com"]["version"] > before["p4@example.com"]["version"]
    said = await verdicts(client, plan)
    assert said[during["new@example.com"]["id"]] == said[before["p4@example.com"]["id"]] == "restored"
    assert said[before["p1@example.com"]["id"]] == "partly"
    assert [word["state"] for word in await rig.handed_over("ingest")][-1] == "undone"
    (restored,) = await rig.events(ContactsRestored)
    assert restored.contact_ids == (UUID(before["p4@example.com"]["id"]),)
    assert (await rig.events(ContactsRemoved))[-1].contact_ids == (UUID(during["new@example.com"]["id"]),)
    told = {c.contact_id for c in (await rig.events(ContactsChanged))[-1].contacts}
    assert told == {UUID(before[f"p{i}@example.com"]["id"]) for i in (0, 1, 4)}
    assert (await rig.events(ImportUndone))[0].counts == {"restored": 3, "partly": 1, "kept": 2}
    # An import that was undone is not undone again.
    again = await rig.http.post(
        f"/internal/accounts/{client.account}/imports/{plan['import_id']}:undo",
        headers={"Authorization": f"Bearer {'s' * 40}"},
    )
    assert again.status_code == 404


async def test_an_undo_raises_no_consent(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    old = [{"fkey": str(i), "email": f"p{i}@example.com"} for i in range(3)]
    await rig.import_rows(client, list_id, old, key="fkey")
    new = [{"fkey": "0", "email": "other@example.com"}]
    plan = await rig.import_rows(client, list_id, new, key="fkey", mode="full")
    assert (plan["counts"]["updated"], plan["counts"]["removed"]) == (1, 2)
    # While they are away, the old address of one and the record of another say "no".
    rig.suppression.say(client.account, [rig.email_subject(client, "p0@example.com")])
    rows = (await client.ask("GET", f"/v1/plans/{plan['import_id']}/rows?action=removed")).json()["items"]
    away = next(row["contact"] for row in rows if row["before"]["fkey"] == "1")
    rig.suppression.say(client.account, [rig.contact_subject({"id": away})])
    await undone(rig, client, plan)
    after = {c["fkey"]: c for c in (await client.contacts(list_id)).values()}
    assert {fkey: (c["email"], c["email_consent"]) for fkey, c in after.items()} == {
        "0": ("p0@example.com", "unsubscribed"),
        "1": ("p1@example.com", "unsubscribed"),
        "2": ("p2@example.com", "subscribed"),
    }


async def test_an_undo_brings_back_nobody_who_was_erased_and_no_key_that_was_taken(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, ROWS[:3])
    plan = await rig.import_rows(client, list_id, [{"email": "q@example.com"}], mode="full")
    assert plan["counts"]["removed"] == 3
    # p0 came back by himself and was erased; p1 came back and is here.
    back = await client.put(list_id, email="p0@example.com")
    erased = await client.ask("POST", f"/v1/lists/{list_id}/contacts/{back['id']}:erase", {})
    assert erased.status_code in (200, 202, 204), erased.text
    here = await client.put(list_id, email="P1@example.com", name="Again")
    found = await undone(rig, client, plan)
    # Of p0 even the undo knows nothing any more: the erasure took his earlier record's past too.
    assert found["undone"] == {"restored": 2, "partly": 0, "kept": 1}
    after = await client.contacts(list_id)
    assert sorted(after) == ["P1@example.com", "p2@example.com"]
    assert (after["P1@example.com"]["id"], after["P1@example.com"]["name"]) == (here["id"], "Again")


async def test_of_somebody_erased_an_undo_knows_nothing(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, ROWS[:2])
    plan = await rig.import_rows(client, list_id, [{**ROWS[0], "name": "New"}, *ROWS[2:4]])
    held = await client.contacts(list_id)
    for email in ("p0@example.com", "p2@example.com"):
        erased = await client.ask("POST", f"/v1/lists/{list_id}/contacts/{held[email]['id']}:erase", {})
        assert erased.status_code in (200, 202, 204), erased.text
    found = await undone(rig, client, plan)
    assert found["undone"] == {"restored": 1, "partly": 0, "kept": 0}
    assert sorted(await client.contacts(list_id)) == ["p1@example.com"]


WHOLE = """
UPDATE plan_rows SET before = jsonb_set(before, '{custom}', '{"b": 1}' || coalesce(before -> 'custom', '{}')),
                     after = jsonb_set(after, '{custom}', '{"b": 1}' || coalesce(after -> 'custom', '{}'))
 WHERE account_id = $1 AND import_id = $2 AND before IS NOT NULL AND after IS NOT NULL
"""
"""As an earlier release wrote them: every custom field of the contact, changed or not."""


@pytest.mark.parametrize("earlier", [False, True])
async def test_an_undo_takes_custom_fields_one_by_one(rig: Rig, earlier: bool) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    fields = [{"name": name, "type": "number"} for name in "abc"]
    await client.ask("PUT", f"/v1/lists/{list_id}/fields", {"fields": fields})

    def rows(**custom: dict[str, int]) -> list[dict[str, str]]:
        return [{"email": f"{who}@example.com", "custom": json.dumps(held)} for who, held in custom.items()]

    old = {"a": 1, "b": 1}
    first = rows(other=old, new={"b": 1}, gone=old, same=old, half=old, all=old)
    await rig.import_rows(client, list_id, first, custom=["a", "b"])
    changed = rows(other={"a": 2}, new={"a": 2}, gone={}, same={"a": 2}, half={"a": 2, "c": 3}, all={"a": 2})
    plan = await rig.import_rows(
        client, list_id, changed, custom=["a", "c"], empty_cells_by_field={"a": "erase"}
    )
    assert plan["counts"]["updated"] == 6
    shown = (await client.ask("GET", f"/v1/plans/{plan['import_id']}/rows")).json()["items"]
    facts = {json.dumps([row["before"], row["after"]], sort_keys=True) for row in shown}
    assert facts == {
        '[{"custom.a": 1}, {"custom.a": 2}]',
        '[{"custom.a": 1}, {"custom.a": 2, "custom.c": 3}]',
        '[{"custom.a": 1}, {}]',
        '[{}, {"custom.a": 2}]',
    }
    if earlier:
        async with rig.db.account(client.account) as tx:
            await tx.driver.execute(WHOLE, client.account, UUID(plan["import_id"]))
    # Since then another field was written, or the very one.
    for who, custom in (("other", {"b": 9}), ("new", {"b": 9}), ("same", {"a": 9}), ("half", {"a": 9})):
        await client.put(list_id, email=f"{who}@example.com", custom=custom)
    found = await undone(rig, client, plan)
    assert found["undone"] == {"restored": 4, "partly": 1, "kept": 1}
    after = await client.contacts(list_id)
    assert {email.partition("@")[0]: contact["custom"] for email, contact in after.items()} == {
        "other": {"a": 1, "b": 9},
        "new": {"b": 9},
        "gone": {"a": 1, "b": 1},
        "same": {"a": 9, "b": 1},
        "half": {"a": 9, "b": 1},
        "all": {"a": 1, "b": 1},
    }
    said = await verdicts(client, plan)
    told = {who: said[after[f"{who}@example.com"]["id"]] for who in ("other", "same", "half")}
    assert told == {"other": "restored", "same": "kept", "half": "partly"}


MADE = """
UPDATE plan_rows SET after = jsonb_strip_nulls(to_jsonb(made)), made = NULL
 WHERE account_id = $1 AND import_id = $2 AND made IS DISTINCT FROM NULL
"""
"""As an earlier release wrote them: what a contact was created with is told as JSON, like any change."""


@pytest.mark.parametrize("earlier", [False, True])
async def test_what_contacts_were_created_with_is_told_and_undone(rig: Rig, earlier: bool) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    fields = [{"name": "points", "type": "number"}]
    await client.ask("PUT", f"/v1/lists/{list_id}/fields", {"fields": fields})
    rows = [{**row, "birth_date": "1980-02-29", "custom": '{"points": 7}'} for row in ROWS[:2]]
    plan = await rig.import_rows(client, list_id, [*rows, ROWS[2]], custom=["points"])
    if earlier:
        async with rig.db.account(client.account) as tx:
            assert await tx.driver.execute(MADE, client.account, UUID(plan["import_id"])) == "UPDATE 3"
    shown = (await client.ask("GET", f"/v1/plans/{plan['import_id']}/rows")).json()["items"]
    told = {row["after"]["email"]: row["after"] for row in shown}
    assert told["p0@example.com"] == {
        "email": "p0@example.com",
        "name": "N0",
        "city": "Roma",
        "birth_date": "1980-02-29",
        "custom.points": 7,
        "email_consent": "subscribed",
        "sms_consent": "subscribed",
    }
    assert set(told["p2@example.com"]) == {"email", "name", "city", "email_consent", "sms_consent"}
    held = await client.contacts(list_id)
    past = f"/v1/lists/{list_id}/contacts/{held['p0@example.com']['id']}/history"
    assert (
        told["p0@example.com"].items() >= (await client.ask("GET", past)).json()["items"][0]["after"].items()
    )
    await client.put(list_id, email="p2@example.com", name="Later")
    assert (await undone(rig, client, plan))["undone"] == {"restored": 2, "partly": 0, "kept": 1}
    assert list(await client.contacts(list_id)) == ["p2@example.com"]
