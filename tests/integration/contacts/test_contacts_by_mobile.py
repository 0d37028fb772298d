"""integration: a list whose key is the mobile number: one contact however the number is written, and no address needed."""

from __future__ import annotations

from contacts_house import Client, Rig
from mailmaker.common.contracts.contacts import ContactsErased
from mailmaker.common.testing.traces import tables_naming

ANNA, BRUNO, CARLA = "+393471234567", "+393481234567", "+447400123456"


def counts(found: dict[str, int]) -> dict[str, int]:
    return {name: many for name, many in found.items() if many}


async def opened(rig: Rig) -> tuple[Client, str]:
    client = await rig.client()
    list_id = await client.open_list("mobile", default_country="IT")
    return client, f"/v1/lists/{list_id}/contacts"


async def test_a_number_is_one_contact_however_it_is_written(rig: Rig) -> None:
    client, path = await opened(rig)
    made = await client.ask("PUT", path, {"mobile": "347 123 4567", "name": "Anna"})
    assert (made.status_code, made.json()["contact"]["mobile"]) == (201, ANNA)
    contact = made.json()["contact"]
    assert (contact["email"], contact["sms_consent"]) == (None, "subscribed")
    again = await client.ask("PUT", path, {"mobile": "0039 347 1234567", "email": "Anna@Example.IT"})
    assert (again.status_code, again.json()["contact"]["id"]) == (200, contact["id"])
    assert (again.json()["contact"]["name"], again.json()["contact"]["email"]) == ("Anna", "Anna@example.it")
    # An address is no key here: two people may share one.
    shared = await client.ask("PUT", path, {"mobile": BRUNO, "email": "anna@example.it"})
    assert shared.status_code == 201
    for wish, code in (
        ({"email": "x@example.it"}, "key.missing"),
        ({"mobile": "06 1234567"}, "mobile.not_mobile"),
    ):
        refused = await client.ask("PUT", path, wish)
        assert [(e["pointer"], e["code"]) for e in refused.json()["errors"]] == [("/mobile", code)]


async def test_a_changed_number_is_the_same_contact_and_never_two(rig: Rig) -> None:
    client, path = await opened(rig)
    anna = (await client.ask("PUT", path, {"mobile": ANNA})).json()["contact"]
    bruno = (await client.ask("PUT", path, {"mobile": BRUNO})).json()["contact"]
    taken = await client.ask("PATCH", f"{path}/{anna['id']}", {"mobile": "348 1234567"})
    assert (taken.status_code, taken.json()["errors"][0]["code"]) == (409, "key.taken")
    assert bruno["id"] in taken.json()["errors"][0]["detail"]
    cleared = await client.ask("PATCH", f"{path}/{anna['id']}", {"mobile": None})
    assert [(e["pointer"], e["code"]) for e in cleared.json()["errors"]] == [("/mobile", "key.missing")]
    moved = await client.ask("PATCH", f"{path}/{anna['id']}", {"mobile": CARLA})
    assert (moved.status_code, moved.json()["mobile"]) == (200, CARLA)
    assert (await client.ask("PUT", path, {"mobile": CARLA})).json()["contact"]["id"] == anna["id"]
    assert (await client.ask("PUT", path, {"mobile": ANNA})).status_code == 201


async def test_a_batch_names_people_by_number(rig: Rig) -> None:
    client, path = await opened(rig)
    await client.ask("PUT", path, {"mobile": BRUNO})
    items = [
        {"contact": {"mobile": "347.123.4567", "name": "Anna"}},
        {"contact": {"mobile": ANNA, "name": "Anna"}},
        {"contact": {"mobile": CARLA}},
        {"contact": {"email": "nobody@example.it"}},
        {"op": "remove", "contact": {"mobile": "348-1234567"}},
        {"op": "remove", "contact": {"mobile": "+393991234567"}},
    ]
    results = (await client.ask("POST", f"{path}:batch", {"items": items})).json()["items"]
    assert [r["result"] for r in results] == [
        "created", "unchanged", "created", "rejected", "removed", "absent",
    ]  # fmt: skip
    assert [(e["pointer"], e["code"]) for e in results[3]["errors"]] == [("/mobile", "key.missing")]
    listed = (await client.ask("GET", path)).json()["items"]
    assert {one["mobile"] for one in listed} == {ANNA, CARLA}


async def test_a_number_is_found_however_it_is_asked_for(rig: Rig) -> None:
    client, path = await opened(rig)
    anna = (await client.ask("PUT", path, {"mobile": ANNA, "name": "Anna"})).json()["contact"]
    await client.ask("PUT", path, {"mobile": BRUNO, "name": "Bruno"})
    for params in ({"mobile": "347 1234567"}, {"mobile": ANNA}, {"q": "347123"}, {"q": "anna"}):
        found = (await client.ask("GET", path, params=params)).json()["items"]
        assert [one["id"] for one in found] == [anna["id"]], params
    assert (await client.ask("GET", path, params={"mobile": CARLA})).json()["items"] == []


async def test_files_are_applied_and_an_erased_number_stays_out(rig: Rig) -> None:
    client, path = await opened(rig)
    list_id = (await client.ask("GET", "/v1/lists")).json()["items"][0]["id"]
    rows = [{"mobile": ANNA, "name": "Anna"}, {"mobile": BRUNO, "name": "Bruno"}]
    plan = await rig.import_rows(client, list_id, rows, key="mobile")
    assert counts(plan["applied"]) == {"rows": 2, "created": 2}
    assert counts((await rig.import_rows(client, list_id, rows, key="mobile"))["applied"]) == {
        "rows": 2,
        "unchanged": 2,
    }
    changed = [{"mobile": BRUNO, "name": "Bruno B"}, {"mobile": CARLA, "name": "Carla"}]
    plan = await rig.import_rows(client, list_id, changed, key="mobile", mode="full")
    assert counts(plan["applied"]) == {"rows": 2, "created": 1, "updated": 1, "removed": 1}
    bruno = (await client.contacts(list_id))[BRUNO]
    assert (await client.ask("POST", f"{path}/{bruno['id']}:erase")).status_code == 204
    assert await tables_naming(rig.db, (BRUNO, "Bruno")) == []
    (told,) = await rig.events(ContactsErased)
    assert [str(one) for one in told.contact_ids] == [bruno["id"]]
    said = await rig.handed_over("suppression")
    assert [(no["channel"], no["reason"]) for no in said] == [("sms", "erased")]
    plan = await rig.import_rows(client, list_id, rows, key="mobile")
    assert counts(plan["applied"]) == {"rows": 2, "created": 1, "protected": 1}
    back = await client.contacts(list_id)
    assert (back[BRUNO]["sms_consent"], back[ANNA]["sms_consent"]) == ("unsubscribed", "subscribed")
