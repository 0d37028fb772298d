"""The walk: a "no" by the API is recorded, on the feed, enforced."""

from __future__ import annotations

import asyncio

from suppression_house import Door, FakeContacts, bearer


async def test_a_no_by_the_api_walks_to_enforced(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    of = contacts.list(account)
    wish = {
        "channel": "email",
        "scope": "list",
        "list": str(of.list_id),
        "email": "Ada@Example.it",
        "reason": "unsubscribe",
    }
    waiting = asyncio.create_task(
        door.http.post("/v1/suppressions?wait=enforced", json=wish, headers=bearer(secret))
    )
    page = await door.feed(wait=5)
    assert [i["number"] for i in page["items"]] == [1]
    assert page["head"] == 1
    assert 0 <= page["confirmed_age"] < 5
    await door.enforce()
    answer = await waiting
    assert answer.status_code == 201, answer.text
    first = answer.json()
    assert first["enforced_at"]
    assert first["recorded_at"]
    assert first["stopped"] == []
    assert first["door"] == "api"

    again = await door.http.post(
        "/v1/suppressions", json=wish | {"email": "ada@example.IT"}, headers=bearer(secret)
    )
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    found = await door.http.get(
        "/v1/suppressions", params={"email": "ada@example.it"}, headers=bearer(secret)
    )
    assert [i["id"] for i in found.json()["items"]] == [first["id"]]
    one = await door.http.get(f"/v1/suppressions/{first['id']}", headers=bearer(secret))
    assert len(one.json()["repetitions"]) == 1
    assert one.json()["numbers"] == [1]
    own = await door.http.get("/v1/suppressions/feed", headers=bearer(secret))
    assert own.json()["head"] == 1
