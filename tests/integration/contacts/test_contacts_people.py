"""integration: people found, re-addressed, merged, and what is known of them; a "no" of either record stays."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from contacts_house import Client, Rig
from mailmaker.common.contracts.contacts import ContactsChanged, ContactsRemoved
from mailmaker.common.storage.ids import new_id


async def _search(client: Client, list_id: UUID, **params: Any) -> list[dict[str, Any]]:
    """Every page of a search, two contacts at a time."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer = await client.ask(
            "GET", f"/v1/lists/{list_id}/contacts", params={"limit": 2, **params, **more}
        )
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        if cursor is None:
            return found


async def test_a_search_filters_sorts_and_pages(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    people = [("1", "c@example.com", "Rossi"), ("2", "A@example.com", "bianchi"), ("3", None, None),
              ("4", "b@example.com", "Rossi"), ("5", "d@example.com", "Verdi")]  # fmt: skip
    for fkey, email, surname in people:
        await client.put(list_id, fkey=fkey, email=email, surname=surname, mobile=f"34712345{fkey}0")
    await client.put(list_id, fkey="2", email_consent="unsubscribed")
    since = (await client.put(list_id, fkey="5", city="Bari"))["changed_at"]

    async def keys(**params: Any) -> list[str]:
        return [c["fkey"] for c in await _search(client, list_id, **params)]

    assert await keys() == ["1", "2", "3", "4", "5"]
    assert await keys(sort="-key") == ["5", "4", "3", "2", "1"]
    assert await keys(sort="created_at") == ["1", "2", "3", "4", "5"]
    assert await keys(sort="-changed_at") == ["5", "2", "4", "3", "1"]
    assert await keys(sort="email") == ["3", "2", "4", "1", "5"]
    assert await keys(sort="surname") == ["3", "2", "1", "4", "5"]
    assert await keys(consent="unsubscribed") == ["2"]
    assert await keys(consent="sms:unsubscribed") == []
    assert await keys(consent="email:subscribed", sort="-email") == ["5", "1", "4", "3"]
    assert await keys(changed_since=since) == ["5"]
    assert await keys(q="ross", sort="-created_at") == ["4", "1"]
    assert await keys(mobile="347 123 4540") == ["4"]


async def test_a_cursor_meets_everybody_once_whatever_is_written(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    for n in range(6):
        await client.put(list_id, fkey=f"{n}", surname=f"s{n}")
    path = f"/v1/lists/{list_id}/contacts"
    first = (await client.ask("GET", path, params={"sort": "surname", "limit": 3})).json()
    await client.put(list_id, fkey="new", surname="a")
    gone = first["items"][2]["id"]
    assert (await client.ask("DELETE", f"{path}/{gone}")).status_code == 204
    rest = await client.ask("GET", path, params={"sort": "surname", "limit": 3, "cursor": first["next"]})
    assert [c["fkey"] for c in rest.json()["items"]] == ["3", "4", "5"]
    other = await client.ask("GET", path, params={"sort": "email", "cursor": first["next"]})
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, "/cursor")


@pytest.mark.parametrize(
    ("params", "pointer"),
    [({"sort": "custom"}, "/sort"), ({"consent": "fax:subscribed"}, "/consent"), ({"consent": "maybe"}, "/consent"),
     ({"email": "nobody"}, "/email"), ({"mobile": "12"}, "/mobile"),
     ({"changed_since": "2026-01-01T00:00:00"}, "/changed_since"),
     ({"cursor": "WyJrZXkiLCAiYSJd"}, "/cursor"), ({"cursor": "e30"}, "/cursor")],
)  # fmt: skip
async def test_a_search_names_what_it_cannot_take(rig: Rig, params: dict[str, str], pointer: str) -> None:
    client = await rig.client()
    answer = await client.ask("GET", f"/v1/lists/{await client.open_list()}/contacts", params=params)
    assert (answer.status_code, [e["pointer"] for e in answer.json()["errors"]]) == (422, [pointer])


async def test_a_person_is_found_in_every_list_of_the_account_and_of_the_key(rig: Rig) -> None:
    client, stranger = await rig.client("a"), await rig.client("b")
    one, two = await client.open_list(), await client.open_list("fkey")
    await client.put(one, email="anna@example.com", mobile="+393471234567")
    await client.put(two, fkey="K", email="Anna@Example.com")
    await stranger.put(await stranger.open_list(), email="anna@example.com")
    found = await client.ask("GET", "/v1/contacts", params={"email": "ANNA@example.com"})
    assert {c["list"] for c in found.json()["items"]} == {str(one), str(two)}
    page = await client.ask("GET", "/v1/contacts", params={"email": "anna@example.com", "limit": 1})
    rest = await client.ask(
        "GET", "/v1/contacts", params={"email": "anna@example.com", "cursor": page.json()["next"]}
    )
    assert len({c["id"] for c in page.json()["items"] + rest.json()["items"]}) == 2
    mobile = await client.ask("GET", "/v1/contacts", params={"mobile": "+39 347 1234567"})
    assert [c["list"] for c in mobile.json()["items"]] == [str(one)]
    wish = {"name": "one", "scopes": ["contacts:read"], "lists": [str(two)]}
    made = (await client.ask("POST", "/v1/api-keys", wish)).json()
    limited = Client(rig.http, client.account, client.number, made["key"])
    seen = await limited.ask("GET", "/v1/contacts", params={"email": "anna@example.com"})
    assert [c["list"] for c in seen.json()["items"]] == [str(two)]
    for params in ({}, {"email": "a@b.it", "mobile": "+393471234567"}, {"mobile": "3471234567"}):
        assert (await client.ask("GET", "/v1/contacts", params=params)).status_code == 422


async def test_a_new_address_is_the_same_contacts_and_is_checked(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    path = f"/v1/lists/{list_id}/contacts"
    anna = await client.put(list_id, fkey="1", email="old@example.com")
    # "Gone" is about the mailbox: it does not follow the person to another one.
    rig.suppression.say(client.account, [rig.email_subject(client, "old@example.com")], reason="hard_bounce")
    rig.suppression.say(client.account, [rig.email_subject(client, "no@example.com")])
    await rig.follow.catch_up()
    moved = await client.put(list_id, fkey="1", email="new@example.com")
    assert (moved["id"], moved["email_consent"], moved["version"]) == (anna["id"], "subscribed", 2)
    assert list(await client.contacts(list_id)) == ["new@example.com"]
    (*_, told) = await rig.events(ContactsChanged)
    assert told.contacts[0].email_key == rig.email_subject(client, "new@example.com")[1:].hex()
    # Somebody said "no" for this address: whoever takes it is not written to.
    patched = await client.ask("PATCH", f"{path}/{anna['id']}", {"email": "no@example.com"})
    assert (patched.json()["email_consent"], patched.json()["id"]) == ("unsubscribed", anna["id"])
    # And a "no" is not undone by changing the address once more.
    again = await client.ask("PATCH", f"{path}/{anna['id']}", {"email": "third@example.com"})
    assert again.json()["email_consent"] == "unsubscribed"
    assert await rig.handed_over("suppression") == []


async def test_a_tombstone_meets_a_new_address(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    path = f"/v1/lists/{list_id}/contacts"
    gone = await client.put(list_id, fkey="1", email="gone@example.com")
    assert (await client.ask("POST", f"{path}/{gone['id']}:erase")).status_code == 204
    other = await client.put(list_id, fkey="2", email="other@example.com")
    patched = await client.ask("PATCH", f"{path}/{other['id']}", {"email": "gone@example.com"})
    assert patched.json()["email_consent"] == "unsubscribed"


async def test_a_key_that_another_contact_has_is_refused_and_says_what_to_do(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    path = f"/v1/lists/{list_id}/contacts"
    one = await client.put(list_id, email="a@example.com")
    two = await client.put(list_id, email="b@example.com")
    moved = await client.ask("PATCH", f"{path}/{one['id']}", {"email": "c@example.com"})
    assert (moved.json()["id"], moved.json()["email"]) == (one["id"], "c@example.com")
    refused = await client.ask("PATCH", f"{path}/{one['id']}", {"email": "B@example.com"})
    (fault,) = refused.json()["errors"]
    assert (refused.status_code, refused.json()["code"], fault["pointer"]) == (
        409,
        "contact_key_taken",
        "/email",
    )
    assert two["id"] in fault["detail"]
    assert ":merge" in fault["detail"]


async def test_two_records_become_one_and_the_stricter_word_stays(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    path = f"/v1/lists/{list_id}"
    await client.ask("PUT", f"{path}/fields", {"fields": [{"name": "points", "type": "number"}]})
    this = await client.put(list_id, email="a@example.com", name="Anna", city="Bari", custom={"points": 1})
    other = await client.put(
        list_id, email="b@example.com", name="Anna Maria", surname="Rossi", custom={"points": 2},
        mobile="+393471234567", email_consent="unsubscribed",
    )  # fmt: skip
    said = len(await rig.handed_over("suppression"))
    changed, removed = len(await rig.events(ContactsChanged)), len(await rig.events(ContactsRemoved))
    body = {"other": other["id"], "keep": {"email": "other", "custom.points": "other"}}
    headers = {"Idempotency-Key": "merge-1"}
    both = [
        await client.ask("POST", f"{path}/contacts/{this['id']}:merge", body, headers=headers) for _ in "12"
    ]
    assert both[0].status_code == 200, both[0].text
    assert both[0].json() == both[1].json()
    assert both[0].json()["removed"] == other["id"]
    (left,) = (await client.contacts(list_id)).values()
    assert (left["id"], left["email"], left["name"], left["surname"], left["city"], left["custom"]) == (
        this["id"], "b@example.com", "Anna", "Rossi", "Bari", {"points": 2},
    )  # fmt: skip
    assert (left["email_consent"], left["sms_consent"], left["mobile"]) == (
        "unsubscribed", "subscribed", "+393471234567",
    )  # fmt: skip
    # Running mailings hear the "no" for the record that stays, and that the other one is gone: one event each.
    told = (await rig.handed_over("suppression"))[said:]
    assert [(no["contact_id"], no["channel"], no["reason"]) for no in told] == [
        (this["id"], "email", "unsubscribe")
    ]
    assert len(await rig.events(ContactsChanged)) == changed + 1
    (gone,) = (await rig.events(ContactsRemoved))[removed:]
    assert [str(one) for one in gone.contact_ids] == [other["id"]]
    entries = (await client.ask("GET", f"{path}/contacts/{this['id']}/history")).json()["items"]
    assert (entries[-1]["what"], entries[-1]["after"]["merged"]) == ("merged", other["id"])
    away = (await client.ask("GET", f"{path}/contacts/{other['id']}/history")).json()["items"]
    assert (away[-1]["what"], away[-1]["after"]) == ("merged_away", {"merged_into": this["id"]})


async def test_a_merge_names_what_is_wrong(rig: Rig) -> None:
    client = await rig.client()
    list_id, elsewhere = await client.open_list(), await client.open_list()
    this, far = (
        await client.put(list_id, email="a@example.com"),
        await client.put(elsewhere, email="a@example.com"),
    )
    path = f"/v1/lists/{list_id}/contacts/{this['id']}:merge"
    for body, status, code in [
        ({"other": this["id"]}, 422, "contact_merge_same"),
        ({"other": far["id"]}, 422, "fields_invalid"),
        ({"other": str(new_id())}, 422, "fields_invalid"),
        ({"other": far["id"], "keep": {"email_consent": "other"}}, 422, "fields_invalid"),
    ]:
        answer = await client.ask("POST", path, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    nobody = f"/v1/lists/{list_id}/contacts/{new_id()}:merge"
    assert (await client.ask("POST", nobody, {"other": this["id"]})).status_code == 404


async def test_history_has_changes_consents_imports_and_messages_page_by_page(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    contact = await client.put(list_id, email="a@example.com", name="Anna")
    await rig.import_rows(client, list_id, [{"email": "a@example.com", "name": "Anna Maria"}])
    no = rig.suppression.say(client.account, [rig.contact_subject(contact)])
    await rig.follow.catch_up()
    message = {"message": str(new_id()), "mailing": str(new_id()), "mailing_name": "News", "channel": "email",
               "state": "delivered", "reason": None, "sent_at": None, "ended_at": None}  # fmt: skip
    rig.dispatch.messages[contact["id"]] = [message]
    path = f"/v1/lists/{list_id}/contacts/{contact['id']}/history"
    whole = (await client.ask("GET", path)).json()
    assert [(h["what"], h["by"].partition(":")[0], h["door"]) for h in whole["items"]] == [
        ("created", "key", "api"), ("updated", "import", "file"), ("withdrawn", "suppression", "api"),
    ]  # fmt: skip
    assert (whole["items"][1]["before"], whole["items"][1]["after"]) == (
        {"name": "Anna"},
        {"name": "Anna Maria"},
    )
    assert whole["items"][2]["by"] == f"suppression:{no.suppression_id}"
    assert (whole["messages"], whole["messages_state"]) == ([message], "complete")
    paged: list[Any] = []
    cursor: str | None = None
    while True:
        page = (
            await client.ask("GET", path, params={"limit": 1, **({"cursor": cursor} if cursor else {})})
        ).json()
        assert page["messages_state"] == ("first_page_only" if cursor else "complete")
        paged += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert paged == whole["items"]
    rig.dispatch.away = True
    alone = (await client.ask("GET", path)).json()
    assert (alone["items"], alone["messages"], alone["messages_state"]) == (whole["items"], [], "unavailable")


async def test_a_batch_repeated_by_its_key_is_done_once_and_names_each_fault(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    items = [
        {"contact": {"email": "a@example.com"}},
        {"contact": {"email": "b@example.com", "custom": {"nothing": 1}, "country": "Italia"}},
        {"op": "remove", "contact": {"email": "z@example.com"}},
    ]
    headers = {"Idempotency-Key": "batch-1"}
    answers = [
        await client.ask("POST", f"/v1/lists/{list_id}/contacts:batch", {"items": items}, headers=headers)
        for _ in "12"
    ]
    assert answers[0].json() == answers[1].json()
    results = answers[0].json()["items"]
    assert [r["result"] for r in results] == ["created", "rejected", "absent"]
    assert {(e["pointer"], e["code"]) for e in results[1]["errors"]} == {
        ("/custom/nothing", "field.unknown"), ("/country", "country.unknown"),
    }  # fmt: skip
    assert len(await rig.events(ContactsChanged)) == 1
    other = await client.ask(
        "POST", f"/v1/lists/{list_id}/contacts:batch", {"items": items[:1]}, headers=headers
    )
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_mailbox_that_bounces_makes_no_opt_out_forgotten(rig: Rig, at_once: bool) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    subjects = [rig.email_subject(client, "no@example.com")]
    rig.suppression.say(client.account, subjects)
    if not at_once:
        await rig.follow.catch_up()
    gone = rig.suppression.say(client.account, subjects, reason="hard_bounce")
    await rig.follow.catch_up()
    contact = await client.put(list_id, email="no@example.com")
    assert contact["email_consent"] == "unsubscribed"
    rows = [{"email": "no@example.com", "name": "N"}]
    other = await client.open_list()
    assert (await rig.import_rows(client, other, rows))["applied"]["protected"] == 1
    # A release is told where nobody holds the key any more, whoever held it last.
    rig.suppression.say(client.account, subjects, reason="hard_bounce", released=gone.suppression_id)
    await rig.follow.catch_up()
    third = await client.open_list()
    assert (await client.put(third, email="no@example.com"))["email_consent"] == "subscribed"
