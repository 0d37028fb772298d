"""integration: a "no" for somebody who has left a list, or leaves it in the same call, is not lost."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contacts_house import PEPPER, SERVICE, Client, Rig
from mailmaker.common.contracts.contacts import ContactsChanged, ContactsRemoved
from mailmaker.common.mail.address import address_key

ROWS = [{"email": f"p{i}@example.com"} for i in range(2)]


async def batch(client: Client, list_id: UUID, *items: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.ask("POST", f"/v1/lists/{list_id}/contacts:batch", {"items": list(items)})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_whose_contact_an_id_was_is_known_after_it_left(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, ROWS)
    held = await client.contacts(list_id)
    by_file, by_hand = held["p0@example.com"]["id"], held["p1@example.com"]["id"]
    known = {
        contact: (await rig.inside(f"/internal/contacts/{contact}")).json() for contact in (by_file, by_hand)
    }
    await rig.import_rows(client, list_id, ROWS[1:], mode="full")
    assert (await client.ask("DELETE", f"/v1/lists/{list_id}/contacts/{by_hand}")).status_code in (200, 204)
    assert await client.contacts(list_id) == {}
    for contact in (by_file, by_hand):
        answer = await rig.inside(f"/internal/contacts/{contact}")
        assert (answer.status_code, answer.json()) == (200, known[contact])
    back = (await client.put(list_id, email="p1@example.com"))["id"]
    assert back != by_hand
    await client.ask("POST", f"/v1/lists/{list_id}/contacts/{back}:erase", {})
    assert (await rig.inside(f"/internal/contacts/{back}")).status_code == 404


async def test_who_is_removed_and_written_again_in_one_call_is_another_contact(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    was = await client.put(list_id, email="a@example.com", city="Bari")
    person = {"contact": {"email": "a@example.com"}}
    removed, created = await batch(client, list_id, {"op": "remove", **person}, person)
    assert (removed["result"], created["result"]) == ("removed", "created")
    (held,) = (await client.contacts(list_id)).values()
    assert held["id"] == created["id"] != was["id"]
    assert held["city"] is None
    assert (await rig.events(ContactsRemoved))[-1].contact_ids == (UUID(was["id"]),)
    assert [c.contact_id for c in (await rig.events(ContactsChanged))[-1].contacts] == [UUID(held["id"])]


async def test_a_no_outlives_the_removal_that_follows_it_in_one_call(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await client.put(list_id, email="a@example.com")
    person = {"email": "a@example.com"}
    no = {"contact": {**person, "email_consent": "unsubscribed"}}
    await batch(client, list_id, no, {"op": "remove", "contact": person})
    assert await client.contacts(list_id) == {}
    (said,) = await rig.handed_over("suppression")
    key = address_key(PEPPER, client.account, "email", "a@example.com").hex()
    assert (said["channel"], said["reason"], said["address_key"]) == ("email", "unsubscribe", key)


async def test_who_is_changed_and_removed_in_one_call_left_as_they_were_changed(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    was = await client.put(list_id, fkey="7", email="a@example.com", name="Ada")
    bare = {"fkey": "7", "email": None}
    changed, _ = await batch(client, list_id, {"contact": bare}, {"op": "remove", "contact": {"fkey": "7"}})
    assert changed["result"] == "updated"
    known = (await rig.inside(f"/internal/contacts/{was['id']}")).json()
    assert (known["fkey"], known["email_key"]) == ("7", None)
    (created, removed) = (
        await client.ask("GET", f"/v1/lists/{list_id}/contacts/{was['id']}/history")
    ).json()["items"]
    assert (created["what"], removed["what"], removed["before"].get("email")) == ("created", "removed", None)
    assert (removed["before"]["fkey"], removed["before"]["name"]) == ("7", "Ada")
    # The address that she no longer had is not hers: whoever has it elsewhere goes on being written to.
    path = f"/v1/lists/{list_id}/contacts/{was['id']}"
    assert (await client.ask("POST", f"{path}:erase")).status_code == 204
    other = await client.put(await client.open_list(), email="a@example.com")
    assert other["email_consent"] == "subscribed"


async def test_whose_contact_an_id_was_is_known_after_its_import_was_undone(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    plan = await rig.import_rows(client, list_id, ROWS)
    held = (await client.contacts(list_id))["p0@example.com"]
    known = (await rig.inside(f"/internal/contacts/{held['id']}")).json()
    undo = f"/internal/accounts/{client.account}/imports/{plan['import_id']}:undo"
    asked = await rig.http.post(undo, headers={"Authorization": f"Bearer {SERVICE}"})
    assert asked.status_code == 204, asked.text
    assert await rig.imports.step()
    assert await client.contacts(list_id) == {}
    answer = await rig.inside(f"/internal/contacts/{held['id']}")
    assert (answer.status_code, answer.json()) == (200, known)
