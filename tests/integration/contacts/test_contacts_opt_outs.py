"""integration: an opt-out file says "no" for everybody it names, once, and writes no contact by itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contacts_house import PEPPER, Client, Rig
from mailmaker.common.contracts.contacts import (
    ContactsChanged,
    ImportApplied,
    ImportPlanned,
    ImportQuarantined,
)
from mailmaker.common.contracts.internal import ImportProgress, No
from mailmaker.common.mail.address import address_key
from mailmaker.common.mail.subjects import address_subject, fkey_subject
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.apply_opt_outs import LANE
from mailmaker.contacts.actions.hear_imports import approve

SENT_BY = new_id()


async def send(rig: Rig, client: Client, list_id: UUID, named: list[dict[str, str]], **more: Any) -> str:
    """An opt-out file, planned and where it may be applied handed over. Returns its import's id."""
    fields = ["email", "mobile", "fkey"]
    keyed = [{"email": "", "mobile": "", "fkey": "", **row} for row in named]
    import_id, staged = rig.stage(keyed, fields, key="email")
    await rig.hear(
        client, list_id, import_id, staged, fields, **{"mode": "opt_out", "sent_by": SENT_BY, **more}
    )
    while await rig.imports.step():
        pass
    return import_id


async def answered(rig: Rig) -> list[No]:
    """What was handed to suppression, which answers now: the feed has it."""
    async with rig.db.platform() as tx:
        rows = await tx.driver.fetch(
            "DELETE FROM handovers WHERE target = $1 RETURNING body, created_at", LANE
        )
    nos = [No.model_validate(row["body"]) for row in sorted(rows, key=lambda row: row["created_at"])]
    for no in nos:
        subjects = [] if no.address_key is None else [address_subject(bytes.fromhex(no.address_key))]
        if no.fkey is not None and no.list_id is not None:
            subjects.append(fkey_subject(no.list_id, no.fkey))
        list_id = no.list_id if no.scope == "list" else None
        rig.suppression.say(no.account_id, subjects, list_id=list_id, channel=no.channel)
    while await rig.imports.step():
        pass
    return nos


async def plan(client: Client, import_id: str) -> dict[str, Any]:
    return dict((await client.ask("GET", f"/v1/plans/{import_id}")).json())


async def told(rig: Rig, import_id: str) -> list[ImportProgress]:
    items = [ImportProgress.model_validate(one) for one in await rig.handed_over("ingest")]
    return [one for one in items if str(one.import_id) == import_id]


def counts(found: dict[str, Any]) -> dict[str, int]:
    return {name: many for name, many in found.items() if many}


async def test_everybody_named_is_out_once_suppression_has_it(rig: Rig) -> None:
    client = await rig.client()
    list_id, other = await client.open_list(), await client.open_list()
    for of in (list_id, other):
        await client.put(of, email="anna@example.it", mobile="+393331111111")
        await client.put(of, email="bruno@example.it", mobile="+393332222222")
        await client.put(of, email="carla@example.it", fkey="C,1")
        await client.put(of, email="dario@example.it")
    before = len(await rig.events(ContactsChanged))
    import_id = await send(
        rig,
        client,
        list_id,
        [
            {"email": "anna@example.it"},
            {"mobile": "+393332222222"},
            {"fkey": "C,1"},
            {"email": "stranger@example.it", "fkey": "S9"},
        ],
        rejected=1,
        told=4,
        rows=5,
    )
    assert counts((await plan(client, import_id))["counts"]) == {"rows": 5, "updated": 4, "rejected": 1}
    assert await told(rig, import_id) == [], "nobody is told before suppression has answered"
    assert len(await rig.events(ContactsChanged)) == before, "no contact is written by the file"

    nos = await answered(rig)
    assert [(no.channel, no.scope, no.door, no.reason, no.evidence["line"]) for no in nos] == [
        ("email", "list", "file", "unsubscribe", "2"),
        ("sms", "list", "file", "unsubscribe", "3"),
        ("email", "list", "file", "unsubscribe", "4"),
        ("sms", "list", "file", "unsubscribe", "4"),
        ("email", "list", "file", "unsubscribe", "5"),
    ]
    assert {no.evidence["import"] for no in nos} == {import_id}
    assert {no.evidence["sent_by"] for no in nos} == {str(SENT_BY)}
    assert nos[0].address_key == address_key(PEPPER, client.account, "email", "anna@example.it").hex()
    assert (nos[2].address_key, nos[2].fkey) == (None, "C,1")
    assert nos[4].address_key is not None
    assert nos[4].fkey == "S9"

    (word,) = await told(rig, import_id)
    assert word.state == "applied"
    assert len(await rig.events(ImportPlanned)) == len(await rig.events(ImportApplied)) == 1
    here, there = await client.contacts(list_id), await client.contacts(other)
    assert {name.split("@")[0]: (c["email_consent"], c["sms_consent"]) for name, c in here.items()} == {
        "anna": ("unsubscribed", "subscribed"),
        "bruno": ("subscribed", "unsubscribed"),
        "carla": ("unsubscribed", "unsubscribed"),
        "dario": ("subscribed", "subscribed"),
    }
    assert {c["email_consent"] for c in there.values()} == {"subscribed"}
    shown = (await client.ask("GET", f"/v1/plans/{import_id}/rows")).json()["items"]
    assert {(row["line"], row["action"], tuple(sorted(row["after"]))) for row in shown} == {
        (2, "updated", ("email_consent",)),
        (3, "updated", ("sms_consent",)),
        (4, "updated", ("email_consent", "sms_consent")),
    }

    # Whom the list did not have stays out when a later file brings them; the same file again says nothing new.
    later = await rig.import_rows(client, list_id, [{"email": "stranger@example.it"}])
    assert counts(later["counts"]) == {"rows": 1, "protected": 1}
    again = await send(rig, client, list_id, [{"email": "anna@example.it"}, {"email": "new@example.it"}])
    assert counts((await plan(client, again))["counts"]) == {"rows": 2, "updated": 1, "unchanged": 1}
    assert len(await answered(rig)) == 2, "what was said before is evidence too"


async def test_an_account_scope_holds_in_every_list(rig: Rig) -> None:
    client = await rig.client()
    lists = [await client.open_list(), await client.open_list()]
    for of in lists:
        await client.put(of, email="anna@example.it")
    import_id = await send(rig, client, lists[0], [{"email": "anna@example.it"}], scope="account")
    (no,) = await answered(rig)
    assert no.scope == "account"
    for of in lists:
        assert (await client.contacts(of))["anna@example.it"]["email_consent"] == "unsubscribed"
    assert len((await client.ask("GET", f"/v1/plans/{import_id}/rows")).json()["items"]) == 2


async def test_a_plan_is_shown_first_and_an_undo_refused(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await client.put(list_id, email="anna@example.it", fkey="A1")
    import_id = await send(rig, client, list_id, [{"fkey": "A1"}], apply="on_approval", channel="email")
    seen = await plan(client, import_id)
    assert (seen["state"], counts(seen["counts"])) == ("planned", {"rows": 1, "updated": 1})
    (row,) = (await client.ask("GET", f"/v1/plans/{import_id}/rows")).json()["items"]
    assert (row["before"], row["after"]) == (
        {"email_consent": "subscribed"},
        {"email_consent": "unsubscribed"},
    )
    assert await rig.handed_over(LANE) == []

    assert await approve(rig.house, client.account, UUID(import_id))
    while await rig.imports.step():
        pass
    (no,) = await answered(rig)
    assert (no.channel, no.fkey) == ("email", "A1")
    assert (await plan(client, import_id))["state"] == "applied"
    path = f"/internal/accounts/{client.account}/imports/{import_id}:undo"
    headers = {"Authorization": f"Bearer {'s' * 40}"}
    assert (await rig.http.post(path, headers=headers, json={})).status_code == 404
    assert (await plan(client, import_id))["state"] == "applied"


async def test_a_later_file_of_the_list_waits_for_the_nos(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await send(rig, client, list_id, [{"email": "anna@example.it"}])
    import_id, staged = rig.stage([{"email": "anna@example.it"}], ["email"])
    await rig.hear(client, list_id, import_id, staged, ["email"])
    assert not await rig.imports.step()
    assert (await plan(client, import_id))["state"] == "staged"
    await answered(rig)
    later = await plan(client, import_id)
    assert (later["state"], counts(later["counts"])) == ("applied", {"rows": 1, "protected": 1})


async def test_rows_that_did_not_come_fail_the_file(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    import_id = await send(rig, client, list_id, [{"email": "anna@example.it"}], told=2)
    failed = await plan(client, import_id)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "plan.broken")
    assert await rig.handed_over(LANE) == []


async def test_a_guard_holds_a_file_back_and_says_so_on_the_bus(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    rows = [{"email": "anna@example.it"}]
    guards = {"max_rejected_percent": 10}
    import_id = await send(rig, client, list_id, rows, guards=guards, rejected=1, told=1, rows=2)
    held = await plan(client, import_id)
    assert (held["state"], held["error"]["code"]) == ("quarantined", "guard.rejected")
    (event,) = await rig.events(ImportQuarantined)
    assert (str(event.import_id), event.list_id, event.code) == (import_id, list_id, "guard.rejected")
    assert counts(event.counts) == {"rows": 2, "updated": 1, "rejected": 1}
    assert event.detail == held["error"]["detail"]
    assert await rig.handed_over(LANE) == []
    assert await approve(rig.house, client.account, UUID(import_id))
    while await rig.imports.step():
        pass
    assert len(await answered(rig)) == 1
    assert (await plan(client, import_id))["state"] == "applied"
