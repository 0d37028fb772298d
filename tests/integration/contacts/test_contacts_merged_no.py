"""integration: what the person says by the mail of a record that was merged away is meant for the record that stayed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contacts_house import PEPPER, Client, Rig
from mailmaker.common.mail.address import address_key


def key(client: Client, email: str) -> str:
    return address_key(PEPPER, client.account, "email", email).hex()


async def merged(client: Client, list_id: UUID, stays: dict[str, Any], goes: dict[str, Any]) -> None:
    path = f"/v1/lists/{list_id}/contacts/{stays['id']}:merge"
    answer = await client.ask("POST", path, {"other": goes["id"]})
    assert answer.status_code == 200, answer.text


async def people(client: Client, list_id: UUID, *names: str) -> list[dict[str, Any]]:
    return [await client.put(list_id, email=f"{name}@example.com") for name in names]


async def test_a_record_that_was_merged_away_names_those_it_became_part_of(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    a, b, c = await people(client, list_id, "a", "b", "c")
    await merged(client, list_id, b, a)
    await merged(client, list_id, c, b)
    for _ in "12":
        row = (await rig.inside(f"/internal/contacts/{a['id']}")).json()
        assert row["email_key"] == key(client, "a@example.com")
        assert [(one["contact_id"], one["email_key"]) for one in row["merged_into"]] == [
            (b["id"], key(client, "b@example.com")),
            (c["id"], key(client, "c@example.com")),
        ]
        # Also when the one that stayed has left the list: a file may bring its address back.
        await client.ask("DELETE", f"/v1/lists/{list_id}/contacts/{c['id']}")
    assert (await rig.inside(f"/internal/contacts/{c['id']}")).json()["merged_into"] == []


async def test_a_no_recorded_before_a_merge_and_heard_after_it_is_said_for_the_record_that_stayed(
    rig: Rig,
) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    a, b, c = await people(client, list_id, "a", "b", "c")
    await merged(client, list_id, b, a)
    await merged(client, list_id, c, b)
    rig.suppression.say(client.account, [rig.contact_subject(a)], list_id=list_id, reason="complaint")
    await rig.follow.catch_up()
    (told,) = await rig.handed_over("suppression")
    assert (told["contact_id"], told["reason"], told["scope"], told["channel"]) == (
        c["id"], "complaint", "list", "email",
    )  # fmt: skip
    assert (told["address_key"], told["whole"]) == (None, False), "suppression asks for its keys"
    # One that names it already needs no second word; one about the mailbox alone says nothing of the person.
    rig.suppression.say(client.account, [rig.contact_subject(one) for one in (a, c)], list_id=list_id)
    rig.suppression.say(client.account, [rig.contact_subject(a)], reason="hard_bounce")
    await rig.follow.catch_up()
    assert len(await rig.handed_over("suppression")) == 1


async def test_a_merge_knows_every_no_that_was_recorded_before_it(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    stays, goes = await people(client, list_id, "stays", "goes")
    rig.suppression.say(client.account, [rig.email_subject(client, "goes@example.com")])
    rig.suppression.away = True
    path = f"/v1/lists/{list_id}/contacts/{stays['id']}:merge"
    assert (await client.ask("POST", path, {"other": goes["id"]})).status_code == 503
    assert len(await client.contacts(list_id)) == 2
    rig.suppression.away = False
    await merged(client, list_id, stays, goes)
    (left,) = (await client.contacts(list_id)).values()
    assert (left["id"], left["email"], left["email_consent"]) == (
        stays["id"],
        "stays@example.com",
        "unsubscribed",
    )


async def test_a_no_written_for_a_contact_without_an_address_says_that_there_is_nothing_to_ask(
    rig: Rig,
) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    await client.put(list_id, fkey="K", email_consent="unsubscribed")
    (told,) = await rig.handed_over("suppression")
    assert (told["address_key"], told["fkey"], told["whole"]) == (None, "K", True)
