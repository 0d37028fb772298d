"""integration: the release of an operator's "no" gives back what that one took, and nothing that a person said."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contacts_house import Client, Rig
from mailmaker.common.contracts.internal import FeedItem
from mailmaker.common.mail.subjects import contact_subject


def manual(rig: Rig, client: Client, email: str, released: FeedItem | None = None) -> FeedItem:
    of = None if released is None else released.suppression_id
    return rig.suppression.say(
        client.account, [rig.email_subject(client, email)], reason="manual", released=of
    )


async def consents(client: Client, list_id: UUID) -> dict[str, str]:
    return {c["name"]: c["email_consent"] for c in (await client.contacts(list_id)).values()}


async def test_what_the_client_said_since_is_not_given_back(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    path = f"/v1/lists/{list_id}/contacts"
    names = ("put", "batch", "patch", "merge", "nobody")
    held = {name: await client.put(list_id, email=f"{name}@example.com", name=name) for name in names}
    other = await client.put(list_id, email="other@example.com", email_consent="unsubscribed")
    taken = {name: manual(rig, client, f"{name}@example.com") for name in names}
    await rig.follow.catch_up()
    assert set((await consents(client, list_id)).values()) == {"unsubscribed"}
    before = len(await rig.handed_over("suppression"))

    async def say() -> list[dict[str, Any]]:
        """The client writes "unsubscribed" for contacts that are out already."""
        no = {"email_consent": "unsubscribed"}
        await client.put(list_id, email="put@example.com", **no)
        item = {"contact": {"email": "batch@example.com", **no}}
        await client.ask("POST", f"{path}:batch", {"items": [item]})
        await client.ask("PATCH", f"{path}/{held['patch']['id']}", no)
        return (await rig.handed_over("suppression"))[before:]

    await client.ask("POST", f"{path}/{held['merge']['id']}:merge", {"other": other["id"]})
    told = await say()
    assert {no["contact_id"] for no in told} == {held[name]["id"] for name in names[:4]}
    # The release is heard before suppression has told of these.
    for name, no in taken.items():
        manual(rig, client, f"{name}@example.com", released=no)
    await rig.follow.catch_up()
    out = dict.fromkeys(names[:4], "unsubscribed")
    assert await consents(client, list_id) == {**out, "nobody": "subscribed"}
    # What suppression has heard for the contact itself is not said again, every night, by a client's own system.
    for no in told:
        rig.suppression.say(client.account, [contact_subject(UUID(no["contact_id"]))], list_id=list_id)
    await rig.follow.catch_up()
    assert len(await say()) == len(told)


async def test_a_no_that_found_the_consent_taken_gives_nothing_back(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    contact = await client.put(list_id, fkey="1", name="ada", email="old@example.com")
    rig.suppression.say(client.account, [rig.email_subject(client, "old@example.com")])
    await rig.follow.catch_up()
    # The word stays when the address changes.
    await client.put(list_id, fkey="1", email="new@example.com")
    no = manual(rig, client, "new@example.com")
    await rig.follow.catch_up()
    manual(rig, client, "new@example.com", released=no)
    await rig.follow.catch_up()
    assert await consents(client, list_id) == {"ada": "unsubscribed"}
    history = await client.ask("GET", f"/v1/lists/{list_id}/contacts/{contact['id']}/history")
    assert [entry["what"] for entry in history.json()["items"]] == ["created", "withdrawn", "updated"]


async def test_a_release_brings_nobody_in_who_has_an_erased_persons_address(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    gone = await client.put(list_id, fkey="0", name="gone", email="gone@example.com")
    erased = await client.ask("POST", f"/v1/lists/{list_id}/contacts/{gone['id']}:erase")
    assert erased.status_code == 204, erased.text
    await client.put(list_id, fkey="1", name="ada", email="ada@example.com")
    no = manual(rig, client, "ada@example.com")
    await rig.follow.catch_up()
    await client.put(list_id, fkey="1", email="gone@example.com")
    manual(rig, client, "ada@example.com", released=no)
    rig.suppression.say(
        client.account, [contact_subject(UUID((await client.contacts(list_id))["gone@example.com"]["id"]))],
        reason="manual", released=no.suppression_id,
    )  # fmt: skip
    await rig.follow.catch_up()
    assert await consents(client, list_id) == {"ada": "unsubscribed"}
