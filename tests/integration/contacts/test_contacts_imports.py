"""integration: what a file does to a list, and what it never does."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from contacts_house import PEPPER, Client, Rig
from mailmaker.common.contracts.contacts import ContactsChanged, ContactsErased
from mailmaker.common.mail.address import address_key
from mailmaker.common.mail.subjects import address_subject, fkey_subject
from mailmaker.common.storage.ids import new_id
from mailmaker.contacts.actions.hear_imports import approve
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.plans import Options, Plan
from mailmaker.contacts.storage import planning
from mailmaker.ingest.domain.outlines import entries

_WRITTEN = """
SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables
 WHERE schemaname = 'contacts' AND relname IN ('contacts', 'contact_history', 'lists', 'list_fields', 'plan_rows', 'nos')
"""


def people(many: int) -> list[dict[str, str]]:
    return [{"email": f"p{i}@example.com", "name": f"N{i}", "mobile": f"+39333{i:07d}"} for i in range(many)]


async def _written(rig: Rig) -> int:
    """PostgreSQL's own counters, read when they have settled."""
    last = -1
    while True:
        async with rig.db.platform() as tx:
            await tx.driver.execute("SELECT pg_stat_force_next_flush()")
            now = int(await tx.driver.fetchval(_WRITTEN))
        if now == last:
            return now
        last = now
        await asyncio.sleep(1.2)


async def test_reimport_of_the_same_file_writes_nothing(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, people(700))
    before, events = await _written(rig), len(await rig.events(ContactsChanged))
    plan = await rig.import_rows(client, list_id, list(reversed(people(700))), mode="full")
    assert plan["counts"]["unchanged"] == 700
    assert await _written(rig) == before
    assert len(await rig.events(ContactsChanged)) == events


@pytest.mark.parametrize("changed", [2, 3, 4, 12])
async def test_changed_rows_are_found_one_by_one_or_in_one_reading_of_the_list(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, changed: int
) -> None:
    # Two are always looked up, more when they are no more than a quarter of the list: three of twelve.
    monkeypatch.setattr(planning, "ALWAYS_LOOKED_UP", 2)
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, people(12))
    rows = people(13)
    for row in rows[:changed]:
        row["name"] = "Nuovo"
    plan = await rig.import_rows(client, list_id, rows)
    counts = {name: many for name, many in plan["counts"].items() if many}
    wanted = {"rows": 13, "created": 1, "updated": changed, "unchanged": 12 - changed}
    assert counts == {name: many for name, many in wanted.items() if many}
    after = await client.contacts(list_id)
    assert sum(contact["name"] == "Nuovo" for contact in after.values()) == changed


async def test_who_writes_few_known_contacts_leaves_the_planner_as_it_was(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    plan = Plan(client.account, new_id(), list_id, _options(), "staged")
    async with rig.db.account(client.account) as tx:
        await planning.prepare(tx, plan)
        # None of the rows names a contact: a file of new people, which may be a million.
        await planning.keep_rows(tx, plan, applied=True)
        assert await tx.driver.fetchval("SELECT current_setting('enable_nestloop')") == "off"


def _options() -> Options:
    return Options("incremental", ("email",), "keep", Consent.SUBSCRIBED, 0, 0, 0, 0, "auto")


async def test_opt_out_survives_import_deletion_and_erasure(rig: Rig) -> None:
    client = await rig.client()
    list_id, other = await client.open_list(), await client.open_list()
    await rig.import_rows(client, list_id, people(5))
    await rig.import_rows(client, other, people(5))
    held = await client.contacts(list_id)
    # p0 by address in this list, p1 by contact in this list, p2 by address in the whole account.
    rig.suppression.say(client.account, [rig.email_subject(client, "p0@example.com")], list_id=list_id)
    rig.suppression.say(client.account, [rig.contact_subject(held["p1@example.com"])], list_id=list_id)
    rig.suppression.say(client.account, [rig.email_subject(client, "p2@example.com")], reason="complaint")
    rig.suppression.say(client.account, [rig.email_subject(client, "p3@example.com")], reason="hard_bounce")
    rows = people(6)
    rows[0]["name"] = "Nuovo"
    plan = await rig.import_rows(client, list_id, rows)
    assert {k: v for k, v in plan["counts"].items() if v} == {
        "rows": 6,
        "created": 1,
        "protected": 3,
        "unchanged": 2,
    }
    after = await client.contacts(list_id)
    assert [after[f"p{i}@example.com"]["email_consent"] for i in range(6)] == [
        "unsubscribed", "unsubscribed", "unsubscribed", "subscribed", "subscribed", "subscribed",
    ]  # fmt: skip
    assert after["p0@example.com"]["name"] == "Nuovo"
    assert after["p0@example.com"]["sms_consent"] == "subscribed"
    elsewhere = await client.contacts(other)
    assert [elsewhere[f"p{i}@example.com"]["email_consent"] for i in range(3)] == [
        "subscribed",
        "subscribed",
        "unsubscribed",
    ]

    # Deleted, then brought back in another spelling; erased, then brought back.
    path = f"/v1/lists/{list_id}/contacts"
    assert (await client.ask("DELETE", f"{path}/{held['p0@example.com']['id']}")).status_code == 204
    assert (await client.ask("POST", f"{path}/{held['p4@example.com']['id']}:erase")).status_code == 204
    rows[0]["email"] = "P0@EXAMPLE.com".replace("EXAMPLE", "example")
    plan = await rig.import_rows(client, list_id, rows)
    assert {k: v for k, v in plan["counts"].items() if v} == {"rows": 6, "protected": 4, "unchanged": 2}
    back = await client.contacts(list_id)
    assert (
        back["P0@example.com"]["email_consent"] == back["p4@example.com"]["email_consent"] == "unsubscribed"
    )
    assert back["p4@example.com"]["sms_consent"] == "unsubscribed"
    assert (await client.contacts(other))["p4@example.com"]["email_consent"] == "subscribed"
    (erased,) = await rig.events(ContactsErased)
    assert erased.contact_ids == (UUID(held["p4@example.com"]["id"]),)
    told = [no for no in await rig.handed_over("suppression") if no["reason"] == "erased"]
    assert {no["channel"] for no in told} == {"email", "sms"}
    history = await client.ask("GET", f"{path}/{held['p4@example.com']['id']}/history")
    assert all(h["before"] == {} and h["after"] == {} for h in history.json()["items"])


async def test_a_first_load_meets_every_no_that_was_said_before(rig: Rig) -> None:
    client = await rig.client()
    list_id, other = await client.open_list("fkey"), await client.open_list("email")
    rows = [
        {"fkey": f'k,"{i}"', "email": f"P{i}@example.com", "mobile": f"+39333000000{i}"} for i in range(7)
    ]
    erased = await client.put(other, email="p4@example.com")
    path = f"/v1/lists/{other}/contacts/{erased['id']}:erase"
    assert (await client.ask("POST", path)).status_code == 204
    rig.suppression.say(client.account, [rig.email_subject(client, "p0@example.com")], reason="complaint")
    rig.suppression.say(client.account, [fkey_subject(list_id, rows[1]["fkey"])], list_id=list_id)
    rig.suppression.say(
        client.account,
        [address_subject(address_key(PEPPER, client.account, "sms", rows[2]["mobile"]))],
        channel="sms",
    )
    rig.suppression.say(client.account, [rig.email_subject(client, "p3@example.com")], list_id=other)
    rig.suppression.say(client.account, [rig.email_subject(client, "p5@example.com")], reason="hard_bounce")
    plan = await rig.import_rows(client, list_id, rows, key="fkey", consent="pending")
    assert {k: v for k, v in plan["counts"].items() if v} == {"rows": 7, "created": 3, "protected": 4}
    consents = {
        c["email"][1]: (c["email_consent"], c["sms_consent"])
        for c in (await client.contacts(list_id)).values()
    }
    assert [consents[n] for n in "0123456"] == [
        ("unsubscribed", "pending"), ("unsubscribed", "pending"), ("pending", "unsubscribed"), ("pending", "pending"),
        ("unsubscribed", "pending"), ("pending", "pending"), ("pending", "pending"),
    ]  # fmt: skip
    told = [
        c for event in await rig.events(ContactsChanged) if event.list_id == list_id for c in event.contacts
    ]
    key = address_key(PEPPER, client.account, "email", "p6@example.com").hex()
    assert [(c.email_consent, c.version) for c in told if c.email_key == key] == [("pending", 1)]


async def test_an_api_write_raises_no_consent_either(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    contact = await client.put(list_id, email="a@example.com")
    rig.suppression.say(client.account, [rig.contact_subject(contact)], list_id=list_id)
    await rig.follow.catch_up()
    again = await client.put(list_id, email="a@example.com", email_consent="subscribed", city="Roma")
    assert (again["email_consent"], again["city"]) == ("unsubscribed", "Roma")
    path = f"/v1/lists/{list_id}/contacts/{contact['id']}"
    raised = await client.ask("PATCH", path, {"email_consent": "subscribed"})
    assert [(e["pointer"], e["code"]) for e in raised.json()["errors"]] == [
        ("/email_consent", "consent.cannot_rise")
    ]
    await client.ask("DELETE", path)
    rig.suppression.say(client.account, [rig.email_subject(client, "b@example.com")])
    await rig.follow.catch_up()
    assert (await client.put(list_id, email="B@example.com"))["email_consent"] == "unsubscribed"
    assert await rig.handed_over("suppression") == []


async def test_a_no_said_by_the_client_is_handed_to_suppression(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    contact = await client.put(list_id, email="a@example.com", sms_consent="unsubscribed")
    await client.ask(
        "PATCH", f"/v1/lists/{list_id}/contacts/{contact['id']}", {"email_consent": "unsubscribed"}
    )
    told = await rig.handed_over("suppression")
    assert [(no["channel"], no["scope"], no["door"], no["contact_id"]) for no in told] == [
        ("sms", "list", "api", contact["id"]), ("email", "list", "api", contact["id"]),
    ]  # fmt: skip


async def test_a_release_gives_back_what_its_no_took_and_no_more(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    contact = await client.put(list_id, email="a@example.com", email_consent="pending")
    first = rig.suppression.say(client.account, [rig.email_subject(client, "a@example.com")], reason="manual")
    second = rig.suppression.say(client.account, [rig.contact_subject(contact)], list_id=list_id)
    await rig.follow.catch_up()

    async def consent() -> str:
        return str((await client.contacts(list_id))["a@example.com"]["email_consent"])

    assert await consent() == "unsubscribed"
    rig.suppression.say(
        client.account,
        [rig.email_subject(client, "a@example.com")],
        reason="manual",
        released=first.suppression_id,
    )
    await rig.follow.catch_up()
    assert await consent() == "unsubscribed", "another no stands"
    rig.suppression.say(
        client.account, [rig.contact_subject(contact)], list_id=list_id, released=second.suppression_id
    )
    await rig.follow.catch_up()
    assert await consent() == "pending", "what the first took, not more"


async def test_the_feed_is_applied_once_whoever_follows_it(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, people(30))
    for i in range(30):
        rig.suppression.say(client.account, [rig.email_subject(client, f"p{i}@example.com")])
    await asyncio.gather(*(rig.follow.catch_up() for _ in range(4)))
    held = await client.contacts(list_id)
    assert {c["email_consent"] for c in held.values()} == {"unsubscribed"}
    assert {c["version"] for c in held.values()} == {2}


async def test_an_import_waits_for_suppression(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    rig.suppression.away = True
    plan = await rig.import_rows(client, list_id, people(3))
    assert plan["state"] == "staged"
    assert await client.contacts(list_id) == {}
    rig.suppression.away = False
    rig.suppression.say(client.account, [rig.email_subject(client, "p1@example.com")])
    await rig.until_settled(client, plan["import_id"])
    held = await client.contacts(list_id)
    assert held["p1@example.com"]["email_consent"] == "unsubscribed"


async def test_a_plan_waits_for_approval_and_leaves_out_what_needs_nothing_any_more(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    plan = await rig.import_rows(client, list_id, people(3), apply="on_approval")
    assert (plan["state"], plan["counts"]["created"], plan["applied"]) == ("planned", 3, None)
    assert await client.contacts(list_id) == {}
    await client.put(list_id, email="p0@example.com", name="N0", mobile="+393330000000")
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    assert await rig.imports.step()
    after = (await client.ask("GET", f"/v1/plans/{plan['import_id']}")).json()
    assert (after["state"], after["counts"]["created"], after["applied"]["created"]) == ("applied", 3, 2)
    rows = (await client.ask("GET", f"/v1/plans/{plan['import_id']}/rows")).json()["items"]
    assert len(rows) == 2
    assert [p["state"] for p in await rig.handed_over("ingest")] == ["planned", "applied"]


async def shown(client: Client, plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the plan's rows say, by the address of whom they are about."""
    rows = (await client.ask("GET", f"/v1/plans/{plan['import_id']}/rows")).json()["items"]
    held = {contact["id"]: email for email, contact in (await client.contacts(plan["list"])).items()}
    return {held.get(row["contact"]) or row["after"]["email"]: row for row in rows}


async def test_an_edit_that_an_approved_plan_would_overwrite_unseen_is_shown_first(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, people(20))
    file = [{**row, "name": "File"} if i < 5 else row for i, row in enumerate(people(19))]
    file.append({"email": "new@example.com", "name": "File", "mobile": ""})
    plan = await rig.import_rows(client, list_id, file, mode="full", apply="on_approval")
    assert plan["state"] == "planned"
    was = await shown(client, plan)
    assert (len(was), was["p1@example.com"]["before"]) == (7, {"name": "N1"})
    # An edit of a field that the file writes, one of whom it removes, and somebody whom it was to create.
    await client.put(list_id, email="p1@example.com", name="Edited")
    await client.put(list_id, email="p19@example.com", city="Roma")
    await client.put(list_id, email="new@example.com", city="Bari")
    held = await client.contacts(list_id)
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    again = await rig.until_state(client, plan["import_id"], "quarantined", "applied")
    assert (again["state"], again["error"]["code"]) == ("quarantined", "plan.changed")
    assert again["error"]["detail"].endswith(": 3")
    assert again["applied"] is None
    assert await client.contacts(list_id) == held
    assert (again["counts"]["created"], again["counts"]["updated"], again["counts"]["removed"]) == (0, 6, 1)
    now = await shown(client, again)
    assert now["p1@example.com"]["before"] == {"name": "Edited"}
    assert now["p19@example.com"]["before"]["city"] == "Roma"
    assert (now["new@example.com"]["action"], now["new@example.com"]["before"]) == ("updated", {})
    assert {email: now[email] for email in ("p0@example.com", "p4@example.com")} == {
        email: was[email] for email in ("p0@example.com", "p4@example.com")
    }
    assert [p["state"] for p in await rig.handed_over("ingest")][-1] == "quarantined"
    # What is shown now is what is approved now.
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    assert (await rig.until_settled(client, plan["import_id"]))["applied"] == again["counts"]
    after = await client.contacts(list_id)
    assert (after["p1@example.com"]["name"], after["new@example.com"]["city"]) == ("File", "Bari")
    assert "p19@example.com" not in after


async def test_what_changes_nothing_of_an_approved_plan_does_not_hold_it_up(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    fields = [{"name": name, "type": "number"} for name in "ab"]
    await client.ask("PUT", f"/v1/lists/{list_id}/fields", {"fields": fields})
    old = [{**row, "custom": '{"a":1,"b":1}'} for row in people(20)]
    await rig.import_rows(client, list_id, old, custom=["a", "b"])
    file = [{**row, "custom": '{"a":2}' if i < 5 else '{"a":1}'} for i, row in enumerate(old[:18])]
    file.append({"email": "new@example.com", "name": "New", "mobile": "", "custom": '{"a":2}'})
    plan = await rig.import_rows(
        client, list_id, file, mode="full", apply="on_approval", custom=["a"], seed="a"
    )
    assert (plan["counts"]["updated"], plan["counts"]["removed"], plan["counts"]["created"]) == (5, 2, 1)
    held = await client.contacts(list_id)
    # Fields that the file does not write, one that is as it would be already, and one who has left.
    await client.put(list_id, email="p0@example.com", city="Roma", custom={"b": 9})
    await client.put(list_id, email="p1@example.com", custom={"a": 2})
    gone = await client.ask("DELETE", f"/v1/lists/{list_id}/contacts/{held['p19@example.com']['id']}")
    assert gone.status_code == 204
    # "No"s: of one who is updated, of one whom the file leaves as they are, of one who goes, of one who comes.
    for name in ("p2", "p9", "p18", "new"):
        rig.suppression.say(client.account, [rig.email_subject(client, f"{name}@example.com")])
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    done = await rig.until_state(client, plan["import_id"], "quarantined", "applied", "failed")
    assert (done["state"], done["error"]) == ("applied", None)
    assert {name: many for name, many in done["applied"].items() if many} == {
        "rows": 19,
        "updated": 3,
        "unchanged": 13,
        "protected": 3,
        "removed": 1,
    }
    after = await client.contacts(list_id)
    assert (after["p0@example.com"]["city"], after["p0@example.com"]["custom"]) == ("Roma", {"a": 2, "b": 9})
    assert [after[f"{name}@example.com"]["email_consent"] for name in ("p1", "p2", "p9", "new")] == [
        "subscribed", "unsubscribed", "unsubscribed", "unsubscribed",
    ]  # fmt: skip


async def test_nobody_is_created_subscribed_who_was_shown_out(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    said = rig.suppression.say(client.account, [rig.email_subject(client, "p0@example.com")], reason="manual")
    plan = await rig.import_rows(client, list_id, people(2), apply="on_approval")
    assert (plan["state"], plan["counts"]["protected"]) == ("planned", 1)
    rig.suppression.say(
        client.account,
        [rig.email_subject(client, "p0@example.com")],
        reason="manual",
        released=said.suppression_id,
    )
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    again = await rig.until_state(client, plan["import_id"], "quarantined", "applied")
    assert again["error"]["code"] == "plan.changed"
    assert again["error"]["detail"].endswith(": 1")
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    assert (await rig.until_settled(client, plan["import_id"]))["applied"]["created"] == 2


async def test_modes_cells_and_custom_fields(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await client.ask("PUT", f"/v1/lists/{list_id}/fields", {"fields": [{"name": "points", "type": "number"}]})
    row = {"email": "a@example.com", "name": "Anna", "city": "Roma", "custom": '{"points": 3}'}
    await rig.import_rows(client, list_id, [row], custom=["points"])
    kept = await rig.import_rows(client, list_id, [{**row, "city": "", "custom": ""}], custom=["points"])
    assert kept["counts"]["unchanged"] == 1
    same = await rig.import_rows(client, list_id, [{**row, "custom": '{"points": 3.0}'}], custom=["points"])
    assert same["counts"]["unchanged"] == 1
    erased = await rig.import_rows(
        client, list_id, [{**row, "city": "", "custom": ""}], custom=["points"], empty_cells="erase"
    )
    assert erased["counts"]["updated"] == 1
    contact = (await client.contacts(list_id))["a@example.com"]
    assert (contact["city"], contact["custom"], contact["name"]) == (None, {}, "Anna")


async def test_add_writes_only_new_contacts_and_update_only_known_ones(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, people(2))
    await client.ask(
        "PUT", f"/v1/lists/{list_id}/contacts", {"email": "p1@example.com", "email_consent": "unsubscribed"}
    )
    rows = [{**row, "name": "New"} for row in people(3)]
    before = await client.contacts(list_id)
    added = await rig.import_rows(client, list_id, rows, mode="add")
    assert {name: many for name, many in added["counts"].items() if many} == {
        "rows": 3,
        "unchanged": 1,
        "protected": 1,
        "created": 1,
    }
    after = await client.contacts(list_id)
    assert {email: after[email] for email in before} == before
    assert after["p2@example.com"]["name"] == "New"
    rows = [{**row, "name": "Newer"} for row in people(4)]
    updated = await rig.import_rows(client, list_id, rows, mode="update")
    assert {name: many for name, many in updated["counts"].items() if many} == {
        "rows": 4,
        "unchanged": 1,
        "protected": 1,
        "updated": 2,
    }
    after = await client.contacts(list_id)
    assert {email: contact["name"] for email, contact in after.items()} == {
        f"p{i}@example.com": "Newer" for i in range(3)
    }


async def test_each_field_says_what_its_empty_cells_do(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await client.ask("PUT", f"/v1/lists/{list_id}/fields", {"fields": [{"name": "points", "type": "number"}]})
    row = {"email": "a@example.com", "name": "Anna", "city": "Roma", "custom": '{"points": 3}'}
    await rig.import_rows(client, list_id, [row], custom=["points"])
    empty = [{**row, "name": "", "city": "", "custom": ""}]
    for by_field, left in (
        ({"city": "erase"}, ("Anna", None, {"points": 3})),
        ({"name": "erase", "points": "erase"}, (None, None, {})),
    ):
        plan = await rig.import_rows(
            client, list_id, empty, custom=["points"], empty_cells_by_field=by_field, seed=str(by_field)
        )
        assert plan["counts"]["updated"] == 1
        contact = (await client.contacts(list_id))["a@example.com"]
        assert (contact["name"], contact["city"], contact["custom"]) == left


async def test_a_plan_above_its_limits_waits_and_is_approved_for_what_was_seen(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, people(10))
    guards = {"max_removed_percent": 20, "max_dropped_percent": 25}
    plan = await rig.import_rows(client, list_id, people(7), mode="full", guards=guards)
    assert (plan["state"], plan["error"]["code"]) == ("quarantined", "guard.removed")
    assert "3 of 10" in plan["error"]["detail"]
    assert len(await client.contacts(list_id)) == 10
    shown = (await client.ask("GET", f"/v1/plans/{plan['import_id']}/rows?action=removed")).json()["items"]
    assert len(shown) == 3
    # One more contact has come into the list since: nobody has approved its removal.
    await client.put(list_id, email="late@example.com")
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    again = await rig.until_state(client, plan["import_id"], "quarantined")
    assert (again["error"]["code"], again["counts"]["removed"]) == ("guard.more_removed", 4)
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    assert (await rig.until_settled(client, plan["import_id"]))["applied"]["removed"] == 4
    assert len(await client.contacts(list_id)) == 7
    # For its limit on removals the list is too small now, with 7 contacts.
    few = await rig.import_rows(client, list_id, people(5), mode="full", guards={**guards, "min_contacts": 8})
    assert (few["state"], few["error"]["code"]) == ("quarantined", "guard.dropped")


async def test_a_file_is_compared_with_the_last_one_of_its_mode_and_profile(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    shops, clubs, guards = new_id(), new_id(), {"max_dropped_percent": 25}

    async def sent(many: int, mode: str, profile: UUID | None = None, **more: Any) -> tuple[str, str | None]:
        more = {"guards": guards, "profile_id": profile, **more}
        plan = await rig.import_rows(client, list_id, people(many), mode=mode, **more)
        return plan["state"], plan["error"] and plan["error"]["code"]

    dropped = ("quarantined", "guard.dropped")
    assert await sent(40, "full", shops) == ("applied", None)
    # Short files come every hour, the whole list at night: neither says anything of the other.
    assert await sent(4, "incremental") == ("applied", None)
    assert await sent(2, "incremental") == dropped
    assert await sent(29, "full", shops) == dropped
    # Another profile's files have another size; one that came without a profile is compared with every one.
    assert await sent(5, "full", clubs) == ("applied", None)
    assert await sent(39, "full", shops) == ("applied", None)
    assert await sent(4, "full", clubs) == ("applied", None)
    assert await sent(3, "full") == ("applied", None)
    assert await sent(2, "full", shops) == dropped
    assert await sent(2, "full", shops, guards=None) == ("applied", None)


async def test_a_file_whose_key_comes_from_another_column_waits(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    rows = [{"fkey": str(i), "email": f"p{i}@example.com"} for i in range(3)]

    async def sent(column: str | None, **more: Any) -> dict[str, Any]:
        return await rig.import_rows(client, list_id, rows, key="fkey", key_column=column, **more)

    assert (await sent("Customer ID"))["state"] == "applied"
    assert (await sent("customer_id"))["state"] == "applied"
    for column, more in (("crm_code", {"mode": "update"}), (None, {})):
        assert (await sent(column, **more))["state"] == "applied", "nothing to compare with"
    # The last file of this mode did not say where its key came from.
    assert (await sent("customer_id"))["state"] == "applied"
    plan = await sent("crm_code")
    assert (plan["state"], plan["error"]["code"]) == ("quarantined", "guard.key_changed")
    assert "'crm_code'" in plan["error"]["detail"]
    assert "'customer_id'" in plan["error"]["detail"]
    assert (await sent("crm_code", guards={"key_changed": False}))["state"] == "applied"
    assert (await sent("customer_id"))["error"]["code"] == "guard.key_changed"
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    assert (await rig.until_settled(client, plan["import_id"]))["state"] == "applied"


async def test_a_file_with_findings_waits(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    findings = [{"code": "encoding.mojibake", "detail": "40 cells look like UTF-8 read as Windows-1252"}]
    plan = await rig.import_rows(client, list_id, people(2), findings=findings)
    assert (plan["state"], plan["error"]["code"]) == ("quarantined", "encoding.mojibake")
    assert [p["state"] for p in await rig.handed_over("ingest")] == ["quarantined"]
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    assert (await rig.until_settled(client, plan["import_id"]))["applied"]["created"] == 2


async def test_only_rows_that_the_list_does_not_hold_are_pulled_whole(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, people(40))
    assert rig.ingest.sent == 40
    same = await rig.import_rows(client, list_id, people(40)[::-1])
    assert (same["counts"]["unchanged"], rig.ingest.sent) == (40, 40)
    # One contact is changed at another door, another says "no", a third has another row in the file.
    await client.put(list_id, email="p3@example.com", name="Other")
    rig.suppression.say(client.account, [rig.email_subject(client, "p4@example.com")])
    await rig.follow.step()
    rows = people(40)
    rows[5] = {**rows[5], "name": "New"}
    plan = await rig.import_rows(client, list_id, rows)
    assert {name: many for name, many in plan["counts"].items() if many} == {
        "rows": 40,
        "unchanged": 37,
        "updated": 2,
        "protected": 1,
    }
    assert rig.ingest.sent == 40 + 3
    # Of the same rows under other options nothing is taken for known; they change nothing all the same.
    erasing = await rig.import_rows(client, list_id, rows, empty_cells="erase", seed="erase")
    assert (erasing["counts"]["unchanged"], rig.ingest.sent) == (39, 40 + 3 + 40)


async def test_a_key_keeps_the_person_when_the_address_changes(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list("fkey")
    await rig.import_rows(client, list_id, [{"fkey": "7", "email": "old@example.com"}], key="fkey")
    rig.suppression.say(client.account, [rig.email_subject(client, "new@example.com")])
    plan = await rig.import_rows(client, list_id, [{"fkey": "7", "email": "new@example.com"}], key="fkey")
    assert plan["counts"]["protected"] == 1
    contact = (await client.contacts(list_id))["new@example.com"]
    assert (contact["fkey"], contact["email_consent"], contact["version"]) == ("7", "unsubscribed", 2)
    shown = (await client.ask("GET", f"/v1/plans/{plan['import_id']}/rows")).json()["items"]
    assert shown[0]["after"] == {"email": "new@example.com", "email_consent": "unsubscribed"}


async def test_a_file_that_lost_rows_or_is_gone_is_not_applied(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    broken = await rig.import_rows(client, list_id, people(3), told=4)
    assert (broken["state"], broken["error"]["code"]) == ("failed", "plan.broken")
    assert await client.contacts(list_id) == {}
    import_id, staged = rig.stage(people(2), ["email"])
    del rig.ingest.files[import_id]
    await rig.hear(client, list_id, import_id, staged, ["email"])
    plan = await rig.until_settled(client, import_id)
    assert plan["error"]["code"] == "import.failed"


async def readers_see(client: Client, list_id: UUID, stop: asyncio.Event) -> set[int]:
    found = set()
    while not stop.is_set():
        found.add(len(await client.contacts(list_id)))
    return found


async def test_readers_see_old_list_or_new(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, people(400))
    stop = asyncio.Event()
    reading = asyncio.create_task(readers_see(client, list_id, stop))
    other = [{"email": f"q{i}@example.com"} for i in range(900)]
    await rig.import_rows(client, list_id, other, mode="full")
    stop.set()
    assert await reading <= {400, 900}
    assert len(await client.contacts(list_id)) == 900


async def test_a_file_that_an_earlier_release_of_ingest_has_staged(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, people(4))
    import_id, many = rig.stage(people(6), ["email", "name", "mobile"])
    outline = rig.ingest.outlines[import_id]
    rig.ingest.outlines[import_id] = b"".join(entry.csv() for entry in entries([outline]))
    await rig.hear(client, list_id, import_id, many, ["email", "name", "mobile"])
    counts = (await rig.until_settled(client, import_id))["counts"]
    assert (counts["created"], counts["unchanged"]) == (2, 4)


async def test_a_full_import_keeps_the_contacts_of_its_rejected_rows(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    await rig.import_rows(client, list_id, people(4))
    # p1 came with an impossible date, nobody@ was never in the list: ingest names both keys on negative lines.
    import_id, _ = rig.stage(people(1), ["email", "name", "mobile"])
    for line, key in ((3, "p1@example.com"), (4, "nobody@example.com")):
        rig.ingest.name(import_id, line, key)
    more = {"mode": "full", "rows": 3, "rejected": 2, "named": 2}
    await rig.hear(client, list_id, import_id, 1, ["email", "name", "mobile"], **more)
    plan = await rig.until_settled(client, import_id)
    assert {name: many for name, many in plan["counts"].items() if many} == {
        "rows": 3,
        "unchanged": 1,
        "rejected": 2,
        "removed": 2,
    }
    assert sorted(await client.contacts(list_id)) == ["p0@example.com", "p1@example.com"]


async def test_a_file_that_waits_writes_nothing_into_a_list_that_was_closed_since(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    plan = await rig.import_rows(client, list_id, [{"email": "anna@example.com"}], apply="on_approval")
    assert (await client.ask("DELETE", f"/v1/lists/{list_id}")).status_code == 204
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    failed = await rig.until_settled(client, plan["import_id"])
    assert (failed["state"], failed["error"]["code"]) == ("failed", "list.unknown")
    assert (await client.ask("GET", "/v1/contacts", params={"email": "anna@example.com"})).json()[
        "items"
    ] == []
