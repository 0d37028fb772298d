"""integration: after an erasure no table of contacts holds the person's address, number, name or key."""

from __future__ import annotations

from uuid import UUID

from contacts_house import Rig
from mailmaker.common.contracts.contacts import ContactsErased
from mailmaker.common.testing.traces import tables_naming

PERSON = (
    "zaira.erased@example.com",
    "+393479998877",
    "Zaira",
    "Quaranta",
    "KEY-77",
    "first.address@example.com",
)


async def test_nothing_but_keyed_hashes_is_left(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    path = f"/v1/lists/{list_id}/contacts"
    zaira = {"fkey": "KEY-77", "email": "zaira.erased@example.com", "mobile": "+393479998877",
             "name": "Zaira", "surname": "Quaranta"}  # fmt: skip
    # An earlier record of hers, removed; then a file, an API write, a new address, a "no", and a plan never applied.
    earlier = await client.put(list_id, **zaira)
    assert (await client.ask("DELETE", f"{path}/{earlier['id']}")).status_code == 204
    await rig.import_rows(client, list_id, [{**zaira, "email": "first.address@example.com"}], key="fkey")
    contact = await client.put(list_id, **zaira)
    other = await client.put(list_id, fkey="2", name="Zoe")
    rig.suppression.say(client.account, [rig.contact_subject(contact)])
    await rig.follow.catch_up()
    waiting = [{**zaira, "fkey": "KEY-77", "name": "Zaira B"}, {**zaira, "fkey": "KEY-78"}]
    planned = await rig.import_rows(client, list_id, waiting, key="fkey", apply="on_approval")
    assert planned["state"] == "planned"
    batch = {"items": [{"contact": zaira}, {"contact": {"fkey": "3", "sex": "?"}}]}
    headers = {"Idempotency-Key": "once"}
    assert (await client.ask("POST", f"{path}:batch", batch, headers=headers)).status_code == 200
    assert {"contacts", "contact_history", "plan_rows"} <= set(await tables_naming(rig.db, PERSON))

    for _ in "12":
        erased = await client.ask(
            "POST", f"{path}/{contact['id']}:erase", headers={"Idempotency-Key": "erase-1"}
        )
        assert erased.status_code == 204, erased.text

    assert await tables_naming(rig.db, PERSON) == []
    (told,) = await rig.events(ContactsErased)
    assert {UUID(contact["id"]), UUID(earlier["id"])} <= set(told.contact_ids)
    assert UUID(other["id"]) not in told.contact_ids
    assert [c["name"] for c in (await client.contacts(list_id)).values()] == ["Zoe"]
    plan = (await client.ask("GET", f"/v1/plans/{planned['import_id']}")).json()
    assert plan["counts"] == planned["counts"]
    # Whoever brings her back does not subscribe her.
    back = await client.put(list_id, fkey="9", email="ZAIRA.erased@example.com", mobile="3479998877")
    assert (back["email_consent"], back["sms_consent"]) == ("unsubscribed", "unsubscribed")


async def test_a_person_who_has_left_the_list_is_forgotten_too(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    path = f"/v1/lists/{list_id}/contacts"
    zaira = {"email": "zaira.erased@example.com", "mobile": "+393479998877", "name": "Zaira"}
    by_hand = await client.put(list_id, **zaira)
    assert (await client.ask("DELETE", f"{path}/{by_hand['id']}")).status_code == 204
    await rig.import_rows(client, list_id, [zaira])
    (by_file,) = (await client.contacts(list_id)).values()
    # While she is in the list as another contact, she is to be named by that one.
    refused = await client.ask("POST", f"{path}/{by_hand['id']}:erase")
    assert (refused.status_code, refused.json()["code"]) == (409, "contact_elsewhere"), refused.text
    assert by_file["id"] in refused.json()["detail"]
    await rig.import_rows(client, list_id, [{"email": "p@example.com"}], mode="full")
    assert (await client.ask("GET", f"{path}/{by_file['id']}")).status_code == 404
    assert await tables_naming(rig.db, PERSON) != []
    assert (await client.ask("POST", f"{path}/{by_file['id']}:erase")).status_code == 204
    assert await tables_naming(rig.db, PERSON) == []
    (told,) = await rig.events(ContactsErased)
    assert {str(one) for one in told.contact_ids} == {by_file["id"], by_hand["id"]}
    said = await rig.handed_over("suppression")
    assert [(no["channel"], no["reason"]) for no in said] == [("email", "erased"), ("sms", "erased")]
    assert (await client.ask("POST", f"{path}/{by_file['id']}:erase")).status_code == 404
    elsewhere = await client.open_list()
    assert (
        await client.ask("POST", f"/v1/lists/{elsewhere}/contacts/{by_file['id']}:erase")
    ).status_code == 404
    back = await client.put(list_id, **zaira)
    assert (back["email_consent"], back["sms_consent"]) == ("unsubscribed", "unsubscribed")


async def test_a_record_that_was_merged_goes_with_the_one_that_stayed(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    path = f"/v1/lists/{list_id}/contacts"
    goes = await client.put(list_id, email="first.address@example.com", name="Zaira")
    stays = await client.put(list_id, email="zaira.erased@example.com", surname="Quaranta")
    merged = await client.ask("POST", f"{path}/{stays['id']}:merge", {"other": goes["id"]})
    assert merged.status_code == 200, merged.text
    refused = await client.ask("POST", f"{path}/{goes['id']}:erase")
    assert (refused.status_code, stays["id"] in refused.json()["detail"]) == (409, True)
    assert (await client.ask("POST", f"{path}/{stays['id']}:erase")).status_code == 204
    assert await tables_naming(rig.db, PERSON) == []
    # Both addresses were the person's.
    for email in ("first.address@example.com", "zaira.erased@example.com"):
        assert (await client.put(list_id, email=email))["email_consent"] == "unsubscribed"
