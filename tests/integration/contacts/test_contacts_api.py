"""integration: accounts, keys, lists, fields, caps and contacts at their doors."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from contacts_house import Rig
from mailmaker.common.contracts.accounts import AccountChanged, ApiKeyChanged
from mailmaker.common.contracts.contacts import ContactsRemoved, ListChanged
from mailmaker.common.storage.ids import new_id


async def test_an_account_has_a_number_and_a_key_shown_once(rig: Rig) -> None:
    headers = {"Idempotency-Key": "open-1"}
    body = {"name": "Rossi"}
    both = [
        await rig.http.post(
            "/v1/accounts", json=body, headers={"Authorization": "Bearer mm_op_test", **headers}
        )
        for _ in "12"
    ]
    first, second = (a.json() for a in both)
    assert first["key"].startswith("mm_live_")
    assert (second["key"], second["id"], second["number"]) == (None, first["id"], first["number"])
    listed = (await rig.operate("GET", "/v1/accounts")).json()["items"]
    assert [a["id"] for a in listed] == [first["id"]]
    assert "key" not in listed[0]
    assert len(await rig.events(AccountChanged)) == len(await rig.events(ApiKeyChanged)) == 1
    row = (await rig.inside(f"/internal/accounts/{first['number']}")).json()
    assert row["account_id"] == first["id"]
    assert (await rig.inside("/internal/accounts/9999")).status_code == 404


async def test_only_the_operator_opens_accounts(rig: Rig) -> None:
    client = await rig.client()
    answer = await client.ask("POST", "/v1/accounts", {"name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "operator_only")
    assert (await client.ask("GET", f"/v1/accounts/{client.account}")).json()["name"] == "Rossi"
    assert (await client.ask("GET", f"/v1/accounts/{new_id()}")).status_code == 404
    assert (await rig.http.get("/v1/lists")).status_code == 401
    assert (await rig.http.get("/internal/keys")).status_code == 401


async def test_a_suspended_account_reads_and_does_not_write(rig: Rig) -> None:
    client = await rig.client()
    await client.open_list()
    suspended = await rig.operate("PATCH", f"/v1/accounts/{client.account}", {"state": "suspended"})
    assert suspended.json()["state"] == "suspended"
    await rig.keyring.pull()
    refused = await client.ask(
        "POST", "/v1/lists", {"name": "x", "controller": {"name": "A", "email": "a@b.it"}}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "account_suspended")
    assert (await client.ask("GET", "/v1/lists")).status_code == 200
    closed = await rig.operate("PATCH", f"/v1/accounts/{client.account}", {"state": "closed"})
    assert closed.status_code == 200
    reopened = await rig.operate("PATCH", f"/v1/accounts/{client.account}", {"state": "open"})
    assert (reopened.status_code, reopened.json()["code"]) == (409, "account_state")


async def test_a_key_has_at_most_the_scopes_of_its_maker_and_ends_when_revoked(rig: Rig) -> None:
    client = await rig.client()
    wish = {"name": "reader", "scopes": ["lists:read", "keys:write"], "expires_at": "2099-01-01T00:00:00Z"}
    made = (await client.ask("POST", "/v1/api-keys", wish)).json()
    reader = type(client)(rig.http, client.account, client.number, made["key"])
    assert (await reader.ask("GET", "/v1/lists")).status_code == 200
    refused = await reader.ask(
        "POST", "/v1/lists", {"name": "x", "controller": {"name": "A", "email": "a@b.it"}}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    stronger = await reader.ask("POST", "/v1/api-keys", {"name": "x", "scopes": ["lists:write", "nonsense"]})
    assert [(e["pointer"], e["code"]) for e in stronger.json()["errors"]] == [
        ("/scopes/0", "scope.beyond"), ("/scopes/1", "scope.unknown"),
    ]  # fmt: skip
    yesterday = (datetime.now(UTC) - timedelta(1)).isoformat()
    wish = {"name": "x", "scopes": ["lists:read"], "expires_at": yesterday, "lists": [str(new_id())]}
    past = await client.ask("POST", "/v1/api-keys", wish)
    assert {e["pointer"] for e in past.json()["errors"]} == {"/expires_at", "/lists/0"}
    assert (await client.ask("DELETE", f"/v1/api-keys/{made['id']}")).status_code == 204
    assert (await client.ask("DELETE", f"/v1/api-keys/{made['id']}")).status_code == 204
    await rig.keyring.pull()
    assert (await reader.ask("GET", "/v1/lists")).status_code == 401
    assert len((await client.ask("GET", "/v1/api-keys")).json()["items"]) == 2


async def test_key_changes_come_in_order_and_without_a_gap(rig: Rig) -> None:
    clients = await asyncio.gather(*(rig.client(f"c{i}") for i in range(5)))
    await asyncio.gather(*(
        c.ask("POST", "/v1/api-keys", {"name": "k", "scopes": ["lists:read"]}) for c in clients for _ in range(3)
    ))  # fmt: skip
    page = (await rig.inside("/internal/keys", after=0)).json()
    versions = sorted(row["version"] for row in page["accounts"] + page["keys"])
    assert versions == list(range(1, 26))
    assert page["version"] == 25
    later = (await rig.inside("/internal/keys", after=20)).json()
    assert len(later["accounts"]) + len(later["keys"]) == 5


async def test_the_501st_list_is_refused(rig: Rig) -> None:
    client = await rig.client()
    async with rig.db.account(client.account) as tx:
        await client.open_list()
        await tx.driver.execute("""
            INSERT INTO lists SELECT account_id, gen_random_uuid(), name, key, default_country, timezone, controller_name,
                   controller_email, caps, opened_at, changed_at, NULL, 1 FROM lists, generate_series(1, 498)""")
    await client.open_list()
    wish = {"name": "one too many", "controller": {"name": "A", "email": "a@b.it"}}
    refused = await client.ask("POST", "/v1/lists", wish)
    assert (refused.status_code, refused.json()["code"]) == (409, "list_quota_reached")


async def test_a_list_changes_by_version_and_tells(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    path = f"/v1/lists/{list_id}"
    seen = await client.ask("GET", path)
    changed = await client.ask("PATCH", path, {"name": "Nuovo"}, headers={"If-Match": seen.headers["etag"]})
    assert (changed.json()["name"], changed.json()["version"], changed.json()["key"]) == ("Nuovo", 2, "fkey")
    stale = await client.ask("PATCH", path, {"name": "x"}, headers={"If-Match": seen.headers["etag"]})
    assert (stale.status_code, stale.json()["code"]) == (412, "version_mismatch")
    wrong = await client.ask(
        "PATCH", path, {"timezone": "Mars/Base", "controller": {"name": "A", "email": "nobody"}}
    )
    assert {e["pointer"] for e in wrong.json()["errors"]} == {"/timezone", "/controller/email"}
    assert (await client.ask("PATCH", path, {"key": "email"})).status_code == 422
    assert [e.version for e in await rig.events(ListChanged)] == [1, 2]


async def test_caps_are_checked_field_by_field_and_told_at_once(rig: Rig) -> None:
    client = await rig.client()
    path = f"/v1/lists/{await client.open_list()}/cap-policy"
    assert (await client.ask("GET", path)).json()["email"]["day"] is None
    policy = {"email": {"day": 1, "week": 3, "month": None, "window": "calendar", "timezone": "Europe/Rome",
                        "week_starts_on": "monday", "on_cap": "drop"}, "sms": {"day": 0}}  # fmt: skip
    put = await client.ask("PUT", path, policy)
    assert put.status_code == 200, put.text
    assert (await client.ask("GET", path)).json() == put.json()
    (_, told) = await rig.events(ListChanged)
    assert (told.caps.email.day, told.caps.email.week, told.caps.sms.day, told.version) == (1, 3, 0, 2)
    for wrong, pointer in [
        ({"email": {"day": -1}}, "/email/day"), ({"email": {"window": "lunar"}}, "/email/window"),
        ({"email": {"timezone": "Mars/Base"}}, "/email/timezone"), ({"fax": {}}, "/fax"),
        ({"sms": {"hold_at_most": 3}}, "/sms/hold_at_most"), ({"email": {"week": "many"}}, "/email/week"),
    ]:  # fmt: skip
        answer = await client.ask("PUT", path, wrong)
        assert answer.status_code == 422, wrong
        assert answer.headers["content-type"] == "application/problem+json"
        assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]


async def test_contacts_are_written_by_their_key(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    path = f"/v1/lists/{list_id}"
    assert (
        await client.ask("PUT", f"{path}/fields", {"fields": [{"name": "points", "type": "number"}]})
    ).status_code == 200
    first = await client.ask(
        "PUT", f"{path}/contacts", {"email": "Anna@Example.com", "name": "Anna", "custom": {"points": 3}}
    )
    assert (first.status_code, first.json()["result"]) == (201, "created")
    again = await client.ask("PUT", f"{path}/contacts", {"email": "anna@example.com", "name": "Anna"})
    assert (again.status_code, again.json()["changed"]) == (200, ["email"])
    same = await client.ask("PUT", f"{path}/contacts", {"email": "anna@example.com", "name": "Anna"})
    assert (same.json()["result"], same.json()["contact"]["version"]) == ("unchanged", 2)
    contact = same.json()["contact"]
    assert contact["custom"] == {"points": 3}
    patched = await client.ask("PATCH", f"{path}/contacts/{contact['id']}", {"city": "Roma", "name": None})
    assert (patched.json()["city"], patched.json()["name"], patched.json()["custom"]) == (
        "Roma",
        None,
        {"points": 3},
    )
    stale = await client.ask(
        "PATCH", f"{path}/contacts/{contact['id']}", {"city": "x"}, headers={"If-Match": '"1"'}
    )
    assert stale.status_code == 412
    found = await client.ask("GET", f"{path}/contacts", params={"email": "ANNA@example.com"})
    assert [c["id"] for c in found.json()["items"]] == [contact["id"]]
    assert (await client.ask("GET", f"{path}/contacts", params={"q": "%"})).json()["items"] == []
    history = (await client.ask("GET", f"{path}/contacts/{contact['id']}/history")).json()["items"]
    assert [h["what"] for h in history] == ["created", "updated", "updated"]
    assert (await client.ask("DELETE", f"{path}/contacts/{contact['id']}")).status_code == 204
    assert (await client.ask("GET", f"{path}/contacts/{contact['id']}")).status_code == 404
    (removed,) = await rig.events(ContactsRemoved)
    assert removed.contact_ids == (UUID(contact["id"]),)


async def test_a_batch_gives_each_item_its_result(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    items = [
        {"contact": {"fkey": "1", "email": "a@example.com"}}, {"contact": {"fkey": "2", "email": "broken"}},
        {"contact": {"email": "b@example.com"}}, {"contact": {"fkey": "1", "city": "Bari"}},
        {"op": "remove", "contact": {"fkey": "9"}}, {"contact": {"fkey": "3"}}, {"op": "remove", "contact": {"fkey": "3"}},
    ]  # fmt: skip
    answer = await client.ask("POST", f"/v1/lists/{list_id}/contacts:batch", {"items": items})
    assert answer.status_code == 200, answer.text
    results = answer.json()["items"]
    assert [r["result"] for r in results] == [
        "created",
        "rejected",
        "rejected",
        "updated",
        "absent",
        "created",
        "removed",
    ]
    assert [r["errors"][0]["pointer"] for r in results[1:3]] == ["/email", "/fkey"]
    assert list(await client.contacts(list_id)) == ["a@example.com"]
    many = await client.ask("POST", f"/v1/lists/{list_id}/contacts:batch", {"items": [items[0]] * 1001})
    assert (many.status_code, many.json()["errors"][0]["pointer"]) == (422, "/items")


async def test_first_writes_of_one_contact_meet_at_its_key(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    answers = await asyncio.gather(*(
        client.ask("PUT", f"/v1/lists/{list_id}/contacts", {"email": "one@example.com", "city": f"c{i}"}) for i in range(6)
    ))  # fmt: skip
    assert sorted(a.status_code for a in answers) == [200] * 5 + [201]
    (contact,) = (await client.contacts(list_id)).values()
    assert contact["version"] == 6


async def test_a_closed_list_lets_its_contacts_go(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await client.put(list_id, email="a@example.com")
    assert (await client.ask("DELETE", f"/v1/lists/{list_id}")).status_code == 204
    assert (await client.ask("GET", f"/v1/lists/{list_id}")).status_code == 404
    assert (
        await client.ask("PUT", f"/v1/lists/{list_id}/contacts", {"email": "a@example.com"})
    ).status_code == 404
    assert len(await rig.events(ContactsRemoved)) == 1
    assert (await rig.inside(f"/internal/lists/{list_id}")).json()["closed"] is True


@pytest.mark.parametrize("path", ["", "/fields", "/cap-policy", "/contacts"])
async def test_another_accounts_list_is_none_at_all(rig: Rig, path: str) -> None:
    mine, other = await rig.client("a"), await rig.client("b")
    list_id = await mine.open_list()
    assert (await mine.ask("GET", f"/v1/lists/{list_id}{path}")).status_code == 200
    assert (await other.ask("GET", f"/v1/lists/{list_id}{path}")).status_code == 404
