""" "No"s that other houses hand over: once each, with every key they carry, whatever contacts does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from mailmaker.common.contracts.internal import No, NosBatch
from mailmaker.common.mail.address import address_key
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.testing.traces import tables_naming
from suppression_house import Door, FakeContacts, bearer, service

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


async def hand_over(door: Door, *items: No) -> list[str]:
    body = NosBatch(items=items).model_dump_json()
    answer = await door.http.post("/internal/nos", content=body, headers=service())
    assert answer.status_code == 200, answer.text
    accepted: list[str] = answer.json()["accepted"]
    return accepted


def no(account: UUID, **more: Any) -> No:
    return No.model_validate(
        {"id": new_id(), "account_id": account, "door": "fbl", "reason": "complaint", "received_at": AT}
        | more
    )


async def test_a_complaint_is_about_the_whole_account(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    person = contacts.contact(contacts.list(account), "ada@example.it")
    item = no(account.account_id, contact_id=person.contact_id, mailing_number=7, evidence={"report": "r1"})
    assert await hand_over(door, item) == [str(item.id)]
    assert await hand_over(door, item) == [str(item.id)]
    [line] = (await door.feed())["items"]
    assert (line["scope"], line["list_id"], len(line["subjects"])) == ("account", None, 2)
    found = await door.http.get("/v1/suppressions?email=ada@example.it", headers=bearer(secret))
    [entry] = found.json()["items"]
    assert entry["received_at"] == "2026-11-24T09:00:00Z"
    full = (await door.http.get(f"/v1/suppressions/{entry['id']}", headers=bearer(secret))).json()
    assert full["evidence"] == {"report": "r1", "mailing_number": "7"}
    assert full["repetitions"] == [], "the same hand-over is not a repetition"


async def test_a_batch_of_many_accounts_and_doors(door: Door, contacts: FakeContacts) -> None:
    first, _ = contacts.account()
    second, _ = contacts.account()
    of = contacts.list(first)
    person = contacts.contact(of, "ada@example.it")
    key = address_key(b"p" * 32, second.account_id, "email", "bob@example.it").hex()
    items = (
        no(first.account_id, contact_id=person.contact_id, door="mail", reason="unsubscribe"),
        no(second.account_id, address_key=key, door="mail", reason="hard_bounce"),
        no(first.account_id, list_id=of.list_id, fkey="k1", door="form", reason="unsubscribe"),
        no(second.account_id, door="abuse"),
    )
    assert len(await hand_over(door, *items)) == 4
    page = await door.feed()
    assert page["head"] == 3, "one of them names nobody"
    by_id = {i["suppression_id"]: i for i in page["items"]}
    assert by_id[str(items[0].id)]["list_id"] == str(of.list_id)
    assert by_id[str(items[1].id)]["scope"] == "account"
    assert by_id[str(items[2].id)]["subjects"][0].startswith("66")


async def test_contacts_away_does_not_hold_it_up(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    people = [contacts.contact(contacts.list(account), f"p{n}@example.it") for n in range(20)]
    contacts.away = True
    items = [
        no(account.account_id, contact_id=p.contact_id, door="mail", reason="unsubscribe") for p in people
    ]
    assert len(await hand_over(door, *items)) == 20
    assert (await door.feed())["head"] == 20
    contacts.away = False
    page = await door.feed_until(lambda p: p["head"] == 40)
    await door.enforce()
    found = await door.http.get("/v1/suppressions?limit=1000", headers=bearer(secret))
    assert all(e["enforced_at"] for e in found.json()["items"])
    assert len(page["items"]) == 40


async def test_the_link_after_the_mail_is_a_repetition(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    person = contacts.contact(contacts.list(account), "ada@example.it")
    item = no(account.account_id, contact_id=person.contact_id, door="mail", reason="unsubscribe")
    await hand_over(door, item)
    assert (await door.http.post("/u/" + door.token(account, person))).status_code == 200
    full = (await door.http.get(f"/v1/suppressions/{item.id}", headers=bearer(secret))).json()
    assert [r["door"] for r in full["repetitions"]] == ["link"]
    assert (await door.feed())["head"] == 1
    figures = (await door.http.get("/metrics")).text
    assert 'mailmaker_opt_out_received_total{door="mail"} 1.0' in figures
    assert 'mailmaker_opt_out_received_total{door="link"} 1.0' in figures
    await door.enforce()
    figures = (await door.http.get("/metrics")).text
    assert 'mailmaker_opt_out_enforced_seconds_count{door="mail"} 1.0' in figures
    assert "mailmaker_suppression_oldest_pending_seconds" in figures


async def test_an_erasure_takes_the_evidence_and_leaves_the_no(
    door: Door, contacts: FakeContacts, url: str
) -> None:
    account, secret = contacts.account()
    of = contacts.list(account)
    zaira, bob = contacts.contact(of, "zaira.erased@example.it"), contacts.contact(of, "bob@example.it")
    for person, address in ((zaira, "zaira.erased@example.it"), (bob, "bob@example.it")):
        for _ in "12":
            await hand_over(
                door,
                no(
                    account.account_id,
                    contact_id=person.contact_id,
                    reason="unsubscribe",
                    door="mail",
                    evidence={"from": address},
                ),
            )
    db = Database(url, house="suppression")
    await db.open()
    assert await tables_naming(db, ["zaira.erased@example.it"]) == ["evidence"]
    gone = no(
        account.account_id, contact_id=zaira.contact_id, list_id=of.list_id, scope="list", reason="erased",
        door="api", address_key=zaira.email_key,
    )  # fmt: skip
    await hand_over(door, gone)
    async with db.platform() as tx:
        left = await tx.driver.fetchval("SELECT count(*) FROM evidence")
    assert await tables_naming(db, ["zaira.erased@example.it"]) == []
    await db.close()
    assert left == 2, "what was kept of somebody else stays"
    found = await door.http.get("/v1/suppressions?email=zaira.erased@example.it", headers=bearer(secret))
    entries = found.json()["items"]
    assert {entry["reason"] for entry in entries} == {"unsubscribe", "erased"}
    [first] = [entry for entry in entries if entry["reason"] == "unsubscribe"]
    full = (await door.http.get(f"/v1/suppressions/{first['id']}", headers=bearer(secret))).json()
    assert (full["evidence"], len(full["repetitions"])) == ({}, 1)


async def test_what_the_contacts_own_house_says_whole_is_not_completed_later(
    door: Door, contacts: FakeContacts
) -> None:
    """The address that a contact gets after its "no" was said may be somebody else's too: they said nothing."""
    account, _ = contacts.account()
    of = contacts.list(account)
    person = contacts.contact(of, "later@example.it")
    item = no(
        account.account_id, contact_id=person.contact_id, list_id=of.list_id, fkey="k1", door="api",
        reason="unsubscribe", whole=True,
    )  # fmt: skip
    await hand_over(door, item)
    [line] = (await door.feed())["items"]
    assert [subject[:2] for subject in line["subjects"]] == ["63", "66"]
