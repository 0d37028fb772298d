"""integration: segments at their doors: saved, changed, counted, listed, used as an audience, and what mailings did."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from contacts_house import Client, Rig
from mailmaker.common.contracts.deliveries import EngagementRecorded, OutcomesRecorded
from mailmaker.common.storage.engine import AlreadyHeard, Heard
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.forget_engagement import ForgetEngagement
from mailmaker.contacts.actions.hear_deliveries import hear_engagement, hear_outcomes
from mailmaker.contacts.storage import segments

ROMANS = {"field": "city", "op": "same_as", "value": "roma"}


async def a_list(client: Client) -> UUID:
    list_id = await client.open_list()
    for email, city in (
        ("ann@x.it", "Roma"),
        ("bob@x.it", "ROMA"),
        ("eve@x.it", "Forlì"),
        ("joe@x.it", None),
    ):
        await client.put(list_id, email=email, **({"city": city} if city else {}))
    return list_id


async def save(client: Client, list_id: UUID, rule: dict[str, Any], name: str = "Romans") -> dict[str, Any]:
    answer = await client.ask("POST", f"/v1/lists/{list_id}/segments", {"name": name, "rule": rule})
    assert answer.status_code == 201, answer.text
    assert answer.headers["etag"] == '"1"'
    return dict(answer.json())


async def count(client: Client, list_id: UUID, rule: dict[str, Any]) -> tuple[int, set[str]]:
    answer = await client.ask("POST", f"/v1/lists/{list_id}/segments:count", {"rule": rule})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["took"] >= 0
    return body["count"], {c["email"] for c in body["sample"]}


async def audience(rig: Rig, client: Client, list_id: UUID, **more: Any) -> set[str]:
    answer = await rig.inside(
        "/internal/audience", account=client.account, channel="email", list=list_id, **more
    )
    assert answer.status_code == 200, answer.text
    return {row[4] for row in csv.reader(io.StringIO(answer.text))}


async def test_a_segment_is_saved_counted_and_listed(rig: Rig) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    made = await save(client, list_id, {"all": [ROMANS]})
    assert await count(client, list_id, made["rule"]) == (2, {"ann@x.it", "bob@x.it"})
    assert await count(client, list_id, {"not": ROMANS}) == (2, {"eve@x.it", "joe@x.it"})
    assert await count(client, list_id, {"all": []}) == (4, set(await client.contacts(list_id)))

    path = f"/v1/lists/{list_id}/contacts"
    page = (await client.ask("GET", path, params={"segment": made["id"], "limit": 1})).json()
    assert [c["email"] for c in page["items"]] == ["ann@x.it"]
    rest = await client.ask("GET", path, params={"segment": made["id"], "limit": 1, "cursor": page["next"]})
    assert [c["email"] for c in rest.json()["items"]] == ["bob@x.it"]
    assert rest.json()["next"] is None
    both = await client.ask("GET", path, params={"segment": made["id"], "q": "BOB"})
    assert [c["email"] for c in both.json()["items"]] == ["bob@x.it"]
    listed = (await client.ask("GET", f"/v1/lists/{list_id}/segments")).json()
    assert [s["name"] for s in listed["items"]] == ["Romans"]


async def test_two_people_edit_and_the_second_is_told(rig: Rig) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    path = f"/v1/lists/{list_id}/segments/{(await save(client, list_id, ROMANS))['id']}"
    first = await client.ask("PATCH", path, {"name": "Of Rome"}, headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["etag"], first.json()["rule"]) == (200, '"2"', ROMANS)
    assert (await client.ask("PATCH", path, {"name": "Mine"}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.ask("DELETE", path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.ask("DELETE", path)).status_code == 204
    assert (await client.ask("GET", path)).status_code == 404
    assert (await client.ask("GET", f"/v1/lists/{list_id}/segments")).json()["items"] == []


async def test_faults_of_a_rule_are_pointed_at(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    deep: dict[str, Any] = ROMANS
    for _ in range(9):
        deep = {"not": [deep]}
    for rule, at, code in (
        (
            {"all": [ROMANS, {"field": "sex", "op": "eq", "value": "Q"}]},
            "/rule/all/1/value",
            "rule.choice_unknown",
        ),
        ({"field": "city; --", "op": "eq", "value": "x"}, "/rule/field", "rule.field_unknown"),
        ({"field": "city", "op": "in_last_days", "value": 1}, "/rule/op", "rule.op_unknown"),
        (
            {"field": "birth_date", "op": "between", "value": ["2000-01-01", "x"]},
            "/rule/value/1",
            "rule.date_needed",
        ),
        ({"field": "city", "op": "in", "value": ["x"] * 1001}, "/rule/value", "rule.set_needed"),
        ({"field": "city", "op": "eq", "value": "x\x00"}, "/rule/value", "rule.control_character"),
        ({"any": []}, "/rule/any", "rule.list_needed"),
        ({"all": [ROMANS] * 200}, "/rule", "rule.too_large"),
        (deep, "/rule" + "/not/0" * 8, "rule.too_deep"),
        ({}, "/rule/field", "rule.field_unknown"),
    ):
        answer = await client.ask("POST", f"/v1/lists/{list_id}/segments:count", {"rule": rule})
        assert answer.status_code == 422, answer.text
        assert (at, code) in [(e["pointer"], e["code"]) for e in answer.json()["errors"]], answer.text


async def test_an_audience_is_narrowed_by_the_rule_of_a_version(rig: Rig) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    made = await save(client, list_id, {"field": "city", "op": "starts_with", "value": "R"})
    path = f"/v1/lists/{list_id}/segments/{made['id']}"
    changed = {"field": "city", "op": "eq", "value": "it's $1 ' \\ Forlì"}
    assert (await client.ask("PATCH", path, {"rule": changed})).status_code == 200
    assert await audience(rig, client, list_id, segment=made["id"], segment_version=1) == {
        "ann@x.it",
        "bob@x.it",
    }
    assert await audience(rig, client, list_id, segment=made["id"]) == set()
    assert len(await audience(rig, client, list_id)) == 4
    assert (await client.ask("DELETE", path)).status_code == 204
    assert await audience(rig, client, list_id, segment=made["id"], segment_version=1) == {
        "ann@x.it",
        "bob@x.it",
    }
    told = (await rig.inside(f"/internal/segments/{made['id']}")).json()
    assert (told["retired"], told["broken"]) == (True, False)

    other = await client.open_list()
    for lists in ([other], [list_id, other]):
        asked = {"account": client.account, "channel": "email", "list": lists, "segment": made["id"]}
        answer = await rig.inside("/internal/audience", **asked)
        assert (answer.status_code, answer.json()["code"]) == (409, "segment.other_list")


async def test_a_rule_about_a_field_that_went_means_nobody_and_says_so(rig: Rig) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    fields = f"/v1/lists/{list_id}/fields"
    await client.ask("PUT", fields, {"fields": [{"name": "tier", "type": "enum", "values": ["gold"]}]})
    made = await save(client, list_id, {"field": "custom.tier", "op": "eq", "value": "gold"})
    await client.ask("PUT", fields, {"fields": []})
    seen = (await client.ask("GET", f"/v1/lists/{list_id}/segments/{made['id']}")).json()
    assert [(f["pointer"], f["code"]) for f in seen["faults"]] == [("/rule/field", "rule.field_unknown")]
    answer = await client.ask("GET", f"/v1/lists/{list_id}/contacts", params={"segment": made["id"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "segment.broken")
    assert (await rig.inside(f"/internal/segments/{made['id']}")).json()["broken"]


async def test_no_byte_of_another_account(rig: Rig) -> None:
    client, other = await rig.client(), await rig.client("Verdi")
    list_id = await a_list(client)
    made = await save(client, list_id, ROMANS)
    own = await a_list(other)
    for base in (list_id, own):
        assert (await other.ask("GET", f"/v1/lists/{base}/segments/{made['id']}")).status_code == 404
        assert (await other.ask("DELETE", f"/v1/lists/{base}/segments/{made['id']}")).status_code == 404
    assert (
        await other.ask("POST", f"/v1/lists/{list_id}/segments:count", {"rule": ROMANS})
    ).status_code == 404
    page = await other.ask("GET", f"/v1/lists/{own}/contacts", params={"segment": made["id"]})
    assert page.status_code == 404


async def test_who_was_reached_is_remembered_until_it_is_old_or_erased(rig: Rig) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    people, now = await client.contacts(list_id), datetime.now(UTC)
    mailing = new_id()
    about = {"mailing_id": mailing, "message_id": new_id(), "address_key": "00"}
    outcomes = OutcomesRecorded.model_validate({
        "account_id": client.account, "occurred_at": now, "channel": "email", "outcomes": [
            {**about, "contact_id": people["ann@x.it"]["id"], "state": "delivered", "at": now},
            {**about, "contact_id": people["bob@x.it"]["id"], "state": "bounced", "at": now},
            {**about, "contact_id": new_id(), "state": "delivered", "at": now},
        ],
    })  # fmt: skip
    await hear_outcomes(rig.house, outcomes, Heard("contacts", outcomes.event_id))
    with pytest.raises(AlreadyHeard):
        await hear_outcomes(rig.house, outcomes, Heard("contacts", outcomes.event_id))
    for days in (2, 40):
        click = EngagementRecorded.model_validate({
            "account_id": client.account, "occurred_at": now, "kind": "clicked",
            "items": [{"mailing_id": mailing, "contact_id": people["ann@x.it"]["id"], "at": now - timedelta(days=days)}],
        })  # fmt: skip
        await hear_engagement(rig.house, click, Heard("contacts", click.event_id))

    of = {"field": "delivered", "op": "of_mailing", "value": str(mailing)}
    assert await count(client, list_id, of) == (1, {"ann@x.it"})
    assert (await count(client, list_id, {"all": [of, {"not": {"field": "opened", "op": "is_not_empty"}}]}))[
        0
    ] == 1
    assert (await count(client, list_id, {"field": "clicked", "op": "in_last_days", "value": 7}))[0] == 1
    assert (await count(client, list_id, {"field": "clicked", "op": "in_last_days", "value": 1}))[0] == 0

    assert await ForgetEngagement(rig.house).forget_old(asyncio.Event()) == 0
    ann = people["ann@x.it"]["id"]
    assert (await client.ask("POST", f"/v1/lists/{list_id}/contacts/{ann}:erase")).status_code == 204
    async with rig.db.platform() as tx:
        assert await tx.driver.fetchval("SELECT count(*) FROM engagement") == 0
        assert await tx.driver.fetchval("SELECT count(*) FROM engagement_mailings") == 0


async def test_a_rule_that_takes_too_long_is_stopped(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await rig.client()
    list_id = await a_list(client)
    slow = segments.COUNTING.replace(f"{segments.MOST_SECONDS}s", "50ms")
    monkeypatch.setattr(segments, "COUNTING", slow)
    monkeypatch.setattr(
        segments, "HOW_MANY", segments.HOW_MANY.replace("{where}", "{where} AND pg_sleep(5) IS NOT NULL")
    )
    answer = await client.ask("POST", f"/v1/lists/{list_id}/segments:count", {"rule": {"all": []}})
    assert (answer.status_code, answer.json()["code"]) == (503, "segment.too_slow")
