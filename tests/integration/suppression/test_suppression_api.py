"""The clients' door: every field named, every "no" recorded, nothing of another account."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from suppression_house import OPERATOR, Door, FakeContacts, bearer


def wish(**more: Any) -> dict[str, Any]:
    plain = {"channel": "email", "scope": "account", "email": "ada@example.it", "reason": "manual"}
    return {k: v for k, v in (plain | more).items() if v is not None}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (wish(email="not an address"), "/email"),
        (wish(email=None), "/email"),
        (wish(email=None, mobile="+391", channel="sms"), "/mobile"),
        (wish(mobile="+393331234567"), "/mobile"),
        (wish(channel="sms"), "/email"),
        (wish(channel="fax"), "/channel"),
        (wish(scope="list"), "/list"),
        (wish(scope="list", list=str(uuid4())), "/list"),
        (wish(scope="list", list="x"), "/list"),
        (wish(reason=None), "/reason"),
        (wish(reason="because"), "/reason"),
        (wish(received_at="2026-13-01T00:00:00Z"), "/received_at"),
        (wish(received_at="2026-11-01T00:00:00"), "/received_at"),
        (wish(emial="x"), "/emial"),
    ],
)
async def test_bad_input_names_its_field(
    door: Door, contacts: FakeContacts, body: dict[str, Any], pointer: str
) -> None:
    _, secret = contacts.account()
    answer = await door.http.post("/v1/suppressions", json=body, headers=bearer(secret))
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointer in [e["pointer"] for e in answer.json()["errors"]], answer.text
    assert (await door.feed())["head"] == 0


async def test_a_thousand_at_once_and_a_bad_one_holds_up_no_other(door: Door, contacts: FakeContacts) -> None:
    _, secret = contacts.account()
    items = [wish(email=f"p{n}@example.it") for n in range(999)]
    items.insert(500, wish(email="nobody"))
    answer = await door.http.post("/v1/suppressions:batch", json={"items": items}, headers=bearer(secret))
    assert answer.status_code == 200, answer.text
    results = answer.json()["items"]
    assert [r["status"] for r in results] == [201] * 500 + [422] + [201] * 499
    assert results[500]["errors"][0]["pointer"] == "/items/500/email"
    assert (await door.feed())["head"] == 999
    again = await door.http.post("/v1/suppressions:batch", json={"items": items[:3]}, headers=bearer(secret))
    assert [r["status"] for r in again.json()["items"]] == [200] * 3
    assert [r["suppression"]["id"] for r in again.json()["items"]] == [
        r["suppression"]["id"] for r in results[:3]
    ]
    too_many = {"items": [wish()] * 1001}
    assert (
        await door.http.post("/v1/suppressions:batch", json=too_many, headers=bearer(secret))
    ).status_code == 422


async def test_a_release_needs_a_reason_and_an_opt_out_the_person(door: Door, contacts: FakeContacts) -> None:
    _, secret = contacts.account()
    mine = (await door.http.post("/v1/suppressions", json=wish(), headers=bearer(secret))).json()
    opt_out = (
        await door.http.post("/v1/suppressions", json=wish(reason="unsubscribe"), headers=bearer(secret))
    ).json()
    path = f"/v1/suppressions/{mine['id']}"
    bare = await door.http.delete(path, headers=bearer(secret))
    assert bare.status_code == 422
    assert bare.json()["errors"][0]["pointer"] == "/reason"
    refused = await door.http.delete(f"/v1/suppressions/{opt_out['id']}?reason=x", headers=bearer(secret))
    assert (refused.status_code, refused.json()["code"]) == (409, "opt_out_is_the_persons")

    released = await door.http.request(
        "DELETE", path, json={"reason": "typed by mistake"}, headers=bearer(secret)
    )
    assert released.status_code == 200, released.text
    assert released.json()["released_at"]
    assert (await door.http.delete(path + "?reason=x", headers=bearer(secret))).json()[
        "code"
    ] == "released_before"
    assert [i["released"] for i in (await door.feed())["items"]] == [False, False], (
        "the opt-out still holds the key"
    )

    again = await door.http.post("/v1/suppressions", json=wish(), headers=bearer(secret))
    assert again.status_code == 201, "a no after a release is a new one"
    assert again.json()["id"] != mine["id"]
    found = await door.http.get("/v1/suppressions?email=ada@example.it", headers=bearer(secret))
    assert [i["id"] for i in found.json()["items"]] == [again.json()["id"], opt_out["id"], mine["id"]]


async def test_a_release_is_a_line_of_the_feed(door: Door, contacts: FakeContacts) -> None:
    _, secret = contacts.account()
    mine = (await door.http.post("/v1/suppressions", json=wish(), headers=bearer(secret))).json()
    await door.http.delete(f"/v1/suppressions/{mine['id']}?reason=mistake", headers=bearer(secret))
    first, second = (await door.feed())["items"]
    assert second["released"]
    assert second["subjects"] == first["subjects"]
    assert second["list_id"] is None


async def test_look_up_by_fkey_and_page_through_all(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    of = str(contacts.list(account).list_id)
    for n in range(5):
        body = wish(email=None, fkey=f"k{n}", list=of, scope="list")
        assert (
            await door.http.post("/v1/suppressions", json=body, headers=bearer(secret))
        ).status_code == 201
    found = await door.http.get("/v1/suppressions", params={"list": of, "fkey": "k3"}, headers=bearer(secret))
    assert len(found.json()["items"]) == 1
    seen, cursor = [], None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await door.http.get("/v1/suppressions", params=query, headers=bearer(secret))).json()
        seen += [i["recorded_at"] for i in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)
    bad = await door.http.get("/v1/suppressions?cursor=x", headers=bearer(secret))
    assert bad.status_code == 422
    lost = await door.http.get("/v1/suppressions?fkey=k3", headers=bearer(secret))
    assert lost.json()["errors"][0]["pointer"] == "/list"


async def test_nothing_of_another_account(door: Door, contacts: FakeContacts) -> None:
    _, mine = contacts.account()
    _, other = contacts.account()
    id = (await door.http.post("/v1/suppressions", json=wish(), headers=bearer(mine))).json()["id"]
    assert (await door.http.get(f"/v1/suppressions/{id}", headers=bearer(other))).status_code == 404
    assert (
        await door.http.delete(f"/v1/suppressions/{id}?reason=x", headers=bearer(other))
    ).status_code == 404
    for query in ("", "?email=ada@example.it"):
        assert (await door.http.get(f"/v1/suppressions{query}", headers=bearer(other))).json()["items"] == []
    assert (await door.http.get("/v1/suppressions/feed", headers=bearer(other))).json() == {
        "items": [],
        "head": 0,
    }


async def test_row_level_security_shows_one_account_alone(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    await door.http.post("/v1/suppressions", json=wish(), headers=bearer(secret))
    db = door.running.app.state.house.db
    tables = ("ledger", "subjects", "standing", "feed", "awaiting", "account_heads", "evidence")
    for whose, rows in ((account.account_id, 1), (uuid4(), 0)):
        async with db.account(whose) as tx:
            for table in tables:
                assert await tx.driver.fetchval(f"SELECT count(*) FROM {table}") == rows, table


async def test_the_ledger_is_append_only(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    await door.http.post("/v1/suppressions", json=wish(), headers=bearer(secret))
    db = door.running.app.state.house.db
    for statement in ("UPDATE ledger SET reason = 'manual'", "DELETE FROM ledger", "DELETE FROM feed"):
        with pytest.raises(Exception, match="permission denied"):
            async with db.account(account.account_id) as tx:
                await tx.driver.execute(statement)


async def test_a_suspended_account_and_a_stale_view_still_say_no(door: Door, contacts: FakeContacts) -> None:
    _, secret = contacts.account("suspended")
    _, open_secret = contacts.account()
    assert (await door.http.post("/v1/suppressions", json=wish(), headers=bearer(secret))).status_code == 201
    assert (await door.http.get("/v1/suppressions", headers=bearer(open_secret))).status_code == 200
    contacts.away = True
    door.running.app.state.keyring._confirmed = float("-inf")
    assert (await door.http.get("/v1/suppressions", headers=bearer(open_secret))).status_code == 503
    assert (
        await door.http.post("/v1/suppressions", json=wish(), headers=bearer(open_secret))
    ).status_code == 201
    assert (
        await door.http.post("/v1/suppressions", json=wish(), headers=bearer("mm_live_none"))
    ).status_code == 503


async def test_the_same_idempotency_key_gives_the_first_answer(door: Door, contacts: FakeContacts) -> None:
    _, secret = contacts.account()
    headers = bearer(secret) | {"Idempotency-Key": "k1"}
    first = await door.http.post("/v1/suppressions", json=wish(), headers=headers)
    again = await door.http.post("/v1/suppressions", json=wish(), headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    other = await door.http.post("/v1/suppressions", json=wish(email="b@example.it"), headers=headers)
    assert other.status_code == 422


async def test_wait_enforced_gives_up_after_five_seconds(
    door: Door, contacts: FakeContacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailmaker.suppression.api.suppressions.ENFORCED_WAIT", 0.3)
    _, secret = contacts.account()
    answer = await door.http.post("/v1/suppressions?wait=enforced", json=wish(), headers=bearer(secret))
    assert answer.status_code == 201
    assert answer.json()["enforced_at"] is None


async def test_who_waits_is_woken_by_any_process(door: Door, contacts: FakeContacts) -> None:
    _, secret = contacts.account()
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(
        door.http.post("/v1/suppressions?wait=enforced", json=wish(), headers=bearer(secret))
    )
    await door.feed(wait=5)
    await door.enforce()
    began = loop.time()
    assert (await waiting).json()["enforced_at"] is not None
    assert loop.time() - began < 0.4
    await door.enforce()  # told again: nothing changes


async def test_internal_doors_need_the_service_token(door: Door, contacts: FakeContacts) -> None:
    _, secret = contacts.account()
    for method, path in (
        ("GET", "/internal/feed"),
        ("POST", "/internal/nos"),
        ("POST", "/internal/enforced"),
    ):
        assert (
            await door.http.request(method, path, json={"items": []}, headers=bearer(secret))
        ).status_code == 401


async def test_an_operator_sees_who_vouches_and_declares_a_disk_lost(
    door: Door, contacts: FakeContacts
) -> None:
    _, secret = contacts.account()
    assert (await door.http.get("/v1/journals", headers=bearer(secret))).status_code == 403
    [own] = (await door.http.get("/v1/journals", headers=bearer(OPERATOR))).json()["items"]
    db = door.running.app.state.house.db
    dead = uuid4()
    async with db.platform() as tx:
        await tx.driver.execute(
            "INSERT INTO journals VALUES ($1, 'gone', 1, now() - interval '1 h', now() - interval '1 h')",
            dead,
        )
    assert (await door.feed())["confirmed_age"] > 3000
    lost = await door.http.post(f"/v1/journals/{dead}:declare-lost", headers=bearer(OPERATOR))
    assert lost.status_code == 204, lost.text
    assert (await door.feed())["confirmed_age"] < 10
    assert (
        await door.http.post(f"/v1/journals/{dead}:declare-lost", headers=bearer(OPERATOR))
    ).status_code == 404
    assert [
        j["id"] for j in (await door.http.get("/v1/journals", headers=bearer(OPERATOR))).json()["items"]
    ] == [own["id"]]


async def test_each_call_has_its_line_in_the_audit_trail(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    calls = [
        door.http.post("/v1/suppressions", json=wish(email=f"p{n}@example.it"), headers=bearer(secret))
        for n in range(9)
    ]
    ids = {(await call).json()["id"] for call in [asyncio.ensure_future(c) for c in calls]}
    async with door.running.app.state.house.db.account(account.account_id) as tx:
        lines = await tx.driver.fetch("SELECT verb, subject FROM audit")
    assert {line["subject"] for line in lines} == ids
    assert {line["verb"] for line in lines} == {"suppression.recorded"}
