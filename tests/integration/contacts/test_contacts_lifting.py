"""integration: an import with a stated lawful basis brings back who opted out of its list, and nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from contacts_house import Client, Rig
from mailmaker.common.contracts.contacts import ContactsChanged
from mailmaker.common.contracts.internal import ImportProgress, Release
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.hear_imports import approve
from mailmaker.contacts.storage.opt_outs import LANE

BASIS = {"text": "They consented again in our shop, with a signed form."}
SENT_BY = new_id()
PEOPLE = ("out", "elsewhere", "everywhere", "complained", "erased", "later", "new", "plain")


def address(name: str) -> str:
    return f"{name}@example.it"


def lawfully(**more: Any) -> dict[str, Any]:
    at = datetime.now(UTC)
    basis = {**BASIS, "consented_at": at}
    return {
        "protect_cancellations": False, "lawful_basis": basis, "sent_by": SENT_BY, "received_at": at, **more,
    }  # fmt: skip


async def answer(rig: Rig, *, but: tuple[UUID, ...] = ()) -> list[Release]:
    """suppression lifts what it was asked to, `but` some, and its feed says so."""
    async with rig.db.platform() as tx:
        rows = await tx.driver.fetch("DELETE FROM handovers WHERE target = $1 RETURNING body", LANE)
    asked = [Release.model_validate(row["body"]) for row in rows]
    for one in asked:
        said = next(i for i in rig.suppression.items if i.suppression_id == one.suppression_id)
        if one.suppression_id not in but:
            rig.suppression.say(
                one.account_id,
                [bytes.fromhex(s) for s in said.subjects],
                list_id=said.list_id,
                channel=said.channel,
                released=one.suppression_id,
            )
    while await rig.imports.step():
        pass
    return asked


def counts(found: dict[str, Any]) -> dict[str, int]:
    return {name: many for name, many in found.items() if many}


@pytest.fixture
async def client(rig: Rig) -> Client:
    return await rig.client()


async def test_only_the_lists_own_opt_outs_are_lifted(rig: Rig, client: Client) -> None:
    list_id, other = await client.open_list(), await client.open_list()
    for name in PEOPLE:
        if name != "new":
            await client.put(list_id, email=address(name), mobile=f"+39333{PEOPLE.index(name):07d}")

    def say(name: str, **more: Any) -> UUID:
        return rig.suppression.say(
            client.account, [rig.email_subject(client, address(name))], **{"list_id": list_id, **more}
        ).suppression_id

    out, new = say("out"), say("new")
    say("elsewhere", list_id=other)
    say("everywhere", list_id=None)
    say("complained", list_id=None, reason="complaint")
    held = (await client.contacts(list_id))[address("erased")]
    assert (await client.ask("POST", f"/v1/lists/{list_id}/contacts/{held['id']}:erase")).status_code == 204
    options = lawfully()
    say("later")
    rows = [{"email": address(name), "name": "N"} for name in PEOPLE]
    before = len(await rig.events(ContactsChanged))
    plan = await rig.import_rows(client, list_id, rows, **options)
    assert plan["state"] == "applied"
    assert counts(plan["applied"]) == {"rows": 8, "updated": 2, "protected": 6}
    told = [ImportProgress.model_validate(one) for one in await rig.handed_over("ingest")]
    assert told == [], "nobody is told before suppression has answered"
    assert len(await rig.events(ContactsChanged)) > before
    assert (await client.contacts(list_id))[address("out")]["email_consent"] == "unsubscribed"

    asked = await answer(rig)
    assert {one.suppression_id for one in asked} == {out, new}
    assert {(one.list_id, one.basis, one.sent_by, one.not_after) for one in asked} == {
        (list_id, BASIS["text"], SENT_BY, options["received_at"])
    }
    assert asked[0].evidence == {
        "import": plan["import_id"],
        "people": "2",
        "sent_by": str(SENT_BY),
        "consented_at": options["received_at"].isoformat(),
    }
    (word,) = [ImportProgress.model_validate(one) for one in await rig.handed_over("ingest")]
    expected = {"rows": 8, "created": 1, "updated": 3, "protected": 4}
    assert (word.state, counts(word.counts)) == ("applied", expected)
    after = await client.contacts(list_id)
    assert {name: after[address(name)]["email_consent"] for name in PEOPLE} == {
        "out": "subscribed",
        "elsewhere": "subscribed",
        "everywhere": "unsubscribed",
        "complained": "unsubscribed",
        "erased": "unsubscribed",
        "later": "unsubscribed",
        "new": "subscribed",
        "plain": "subscribed",
    }
    plan = (await client.ask("GET", f"/v1/plans/{plan['import_id']}")).json()
    assert counts(plan["applied"]) == expected
    assert (plan["lawful_basis"]["text"], plan["lawful_basis"]["people"]) == (BASIS["text"], 2)
    shown = (await client.ask("GET", f"/v1/plans/{plan['import_id']}/rows")).json()["items"]
    (row,) = [r for r in shown if r["contact"] == after[address("out")]["id"]]
    assert (row["action"], row["before"]["email_consent"], row["after"]["email_consent"]) == (
        "updated",
        "unsubscribed",
        "subscribed",
    )
    path = f"/v1/lists/{list_id}/contacts/{after[address('new')]['id']}/history"
    past = (await client.ask("GET", path)).json()["items"]
    (lifted,) = [one for one in past if one["what"] == "opt_out_lifted"]
    assert (lifted["by"], lifted["door"]) == (f"import:{plan['import_id']}", "file")
    assert lifted["after"] == {
        "email_consent": "subscribed",
        "lawful_basis": BASIS["text"],
        "sent_by": str(SENT_BY),
        "consented_at": options["received_at"].isoformat(),
    }


async def test_an_undo_puts_out_again_whom_the_import_brought_back(rig: Rig, client: Client) -> None:
    list_id = await client.open_list()
    contact = await client.put(list_id, email=address("out"), fkey="K1")
    rig.suppression.say(client.account, [rig.email_subject(client, address("out"))], list_id=list_id)
    plan = await rig.import_rows(client, list_id, [{"email": address("out"), "name": "N"}], **lawfully())
    await answer(rig)
    assert (await client.contacts(list_id))[address("out")]["email_consent"] == "subscribed"
    path = f"/internal/accounts/{client.account}/imports/{plan['import_id']}:undo"
    headers = {"Authorization": f"Bearer {'s' * 40}"}
    assert (await rig.http.post(path, headers=headers, json={})).status_code == 204
    while await rig.imports.step():
        pass
    (no,) = await rig.handed_over("suppression")
    assert (no["contact_id"], no["channel"], no["scope"], no["reason"]) == (
        contact["id"],
        "email",
        "list",
        "unsubscribe",
    )
    assert no["evidence"] == {"undone_import": plan["import_id"]}


async def test_what_suppression_does_not_lift_stays_protected(rig: Rig, client: Client) -> None:
    list_id = await client.open_list()
    await client.put(list_id, email=address("out"))
    said = rig.suppression.say(
        client.account, [rig.email_subject(client, address("out"))], list_id=list_id
    ).suppression_id
    # Also of a file of a release that did not ask since when.
    options = lawfully(lawful_basis=BASIS)
    plan = await rig.import_rows(client, list_id, [{"email": address("out")}], **options)
    await answer(rig, but=(said,))
    plan = (await client.ask("GET", f"/v1/plans/{plan['import_id']}")).json()
    assert counts(plan["counts"]) == {"rows": 1, "updated": 1}
    assert counts(plan["applied"]) == {"rows": 1, "protected": 1}
    assert (await client.contacts(list_id))[address("out")]["email_consent"] == "unsubscribed"


async def test_a_no_after_the_consent_stands_and_the_plan_shows_who_comes_back(
    rig: Rig, client: Client
) -> None:
    list_id = await client.open_list()
    await client.put(list_id, email=address("out"))
    rig.suppression.say(client.account, [rig.email_subject(client, address("out"))], list_id=list_id)
    earlier = {**BASIS, "consented_at": datetime.now(UTC) - timedelta(days=1)}
    plan = await rig.import_rows(
        client, list_id, [{"email": address("out")}], **lawfully(lawful_basis=earlier)
    )
    assert counts(plan["applied"]) == {"rows": 1, "protected": 1}
    assert await rig.handed_over(LANE) == []
    plan = await rig.import_rows(
        client, list_id, [{"email": address("out")}], **lawfully(apply="on_approval"), seed="2"
    )
    assert (plan["state"], counts(plan["counts"])) == ("planned", {"rows": 1, "updated": 1})
    (row,) = (await client.ask("GET", f"/v1/plans/{plan['import_id']}/rows")).json()["items"]
    assert (row["action"], row["before"], row["after"]) == (
        "updated",
        {"email_consent": "unsubscribed"},
        {"email_consent": "subscribed"},
    )
    assert await rig.handed_over(LANE) == []


async def test_a_file_that_only_adds_brings_no_contact_back(rig: Rig, client: Client) -> None:
    list_id = await client.open_list()
    await client.put(list_id, email=address("out"))
    for name in ("out", "new"):
        rig.suppression.say(client.account, [rig.email_subject(client, address(name))], list_id=list_id)
    rows = [{"email": address("out")}, {"email": address("new")}]
    await rig.import_rows(client, list_id, rows, **lawfully(mode="add", consent="pending"))
    assert len(await answer(rig)) == 1
    after = await client.contacts(list_id)
    assert (after[address("out")]["email_consent"], after[address("new")]["email_consent"]) == (
        "unsubscribed",
        "pending",
    )


async def test_an_approved_plan_brings_back_those_whom_it_was_shown_to(rig: Rig, client: Client) -> None:
    list_id = await client.open_list()
    for name in ("out", "complained"):
        await client.put(list_id, email=address(name))
        rig.suppression.say(client.account, [rig.email_subject(client, address(name))], list_id=list_id)
    subject = rig.email_subject(client, address("complained"))
    complaint = rig.suppression.say(client.account, [subject], reason="complaint").suppression_id
    rows = [{"email": address(name), "name": "N"} for name in ("out", "complained")]
    plan = await rig.import_rows(client, list_id, rows, **lawfully(apply="on_approval"))
    assert (plan["state"], counts(plan["counts"])) == ("planned", {"rows": 2, "updated": 1, "protected": 1})
    # Nothing but the opt-out keeps the other one out any more: that was not to be seen when the plan was shown.
    rig.suppression.say(client.account, [subject], reason="complaint", released=complaint)
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    again = await rig.until_state(client, plan["import_id"], "quarantined", "applied")
    assert (again["error"]["code"], counts(again["counts"])) == ("plan.changed", {"rows": 2, "updated": 2})
    assert await rig.handed_over(LANE) == []
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    await rig.until_settled(client, plan["import_id"])
    assert len(await answer(rig)) == 2
    done = (await client.ask("GET", f"/v1/plans/{plan['import_id']}")).json()
    assert counts(done["applied"]) == {"rows": 2, "updated": 2}


async def test_what_is_said_here_while_suppression_is_asked_stands(rig: Rig, client: Client) -> None:
    """Also by a client that says it again for somebody whose own "no" suppression has heard: that one is being lifted."""
    list_id = await client.open_list()
    held = {name: await client.put(list_id, email=address(name)) for name in ("heard", "written", "silent")}
    for name in ("written", "silent"):
        rig.suppression.say(client.account, [rig.email_subject(client, address(name))], list_id=list_id)
    rig.suppression.say(client.account, [rig.contact_subject(held["heard"])], list_id=list_id)
    await rig.import_rows(client, list_id, [{"email": address(name)} for name in held], **lawfully())
    for name in ("heard", "written"):
        await client.put(list_id, email=address(name), email_consent="unsubscribed")
    assert len(await answer(rig)) == 3
    after = await client.contacts(list_id)
    assert {name: after[address(name)]["email_consent"] for name in held} == {
        "heard": "unsubscribed",
        "written": "unsubscribed",
        "silent": "subscribed",
    }
    told = {no["contact_id"] for no in await rig.handed_over("suppression")}
    assert told == {held[name]["id"] for name in ("heard", "written")}


async def test_what_was_said_here_and_is_still_on_its_way_stands(rig: Rig, client: Client) -> None:
    list_id = await client.open_list()
    await client.put(list_id, email=address("out"))
    rig.suppression.say(client.account, [rig.email_subject(client, address("out"))], list_id=list_id)
    options = lawfully()
    await client.put(list_id, email=address("out"), email_consent="unsubscribed")
    await rig.import_rows(client, list_id, [{"email": address("out")}], **options)
    await answer(rig)
    assert (await client.contacts(list_id))[address("out")]["email_consent"] == "unsubscribed"


async def test_a_no_that_is_said_again_here_is_as_new_as_its_last_word(rig: Rig, client: Client) -> None:
    """suppression has heard it, and does not hear it again each night: what asks it to lift knows better."""
    list_id = await client.open_list("fkey")
    held = await client.put(list_id, fkey="1", email=address("out"))
    await client.put(list_id, fkey="2", email=address("out"))
    subjects = [rig.contact_subject(held), rig.email_subject(client, address("out"))]
    rig.suppression.say(client.account, subjects, list_id=list_id)
    await rig.follow.catch_up()
    consented = {**BASIS, "consented_at": datetime.now(UTC)}
    await client.put(list_id, fkey="1", email_consent="unsubscribed")
    assert await rig.handed_over("suppression") == []
    rows = [{"fkey": "2", "email": address("out"), "name": "N"}]
    options = lawfully(lawful_basis=consented)
    plan = await rig.import_rows(client, list_id, rows, key="fkey", **options)
    assert counts(plan["applied"]) == {"rows": 1, "protected": 1}
    assert await rig.handed_over(LANE) == []
    plan = await rig.import_rows(client, list_id, rows, key="fkey", seed="2", **lawfully())
    assert counts(plan["counts"]) == {"rows": 1, "updated": 1}
    assert len(await answer(rig)) == 1


async def test_an_undo_takes_away_whom_the_import_created_and_brought_back(rig: Rig, client: Client) -> None:
    list_id = await client.open_list()
    mobile = "+393331111111"
    for name in ("new", "written"):
        rig.suppression.say(client.account, [rig.email_subject(client, address(name))], list_id=list_id)
    rows = [{"email": address(name), "mobile": mobile} for name in ("new", "written")]
    plan = await rig.import_rows(client, list_id, rows, **lawfully())
    await answer(rig)
    assert {c["email_consent"] for c in (await client.contacts(list_id)).values()} == {"subscribed"}
    await client.put(list_id, email=address("written"), name="W")
    path = f"/internal/accounts/{client.account}/imports/{plan['import_id']}:undo"
    headers = {"Authorization": f"Bearer {'s' * 40}"}
    assert (await rig.http.post(path, headers=headers, json={})).status_code == 204
    while await rig.imports.step():
        pass
    assert set(await client.contacts(list_id)) == {address("written")}
    undone = (await client.ask("GET", f"/v1/plans/{plan['import_id']}")).json()["undone"]
    assert undone == {"restored": 1, "partly": 0, "kept": 1}
