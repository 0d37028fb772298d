"""The link of a mail: a page that changes nothing, a POST that acts, and uniform silence for everything else."""

from __future__ import annotations

from uuid import uuid4

import pytest
from mailmaker.common.contracts.internal import InFlight, SamePerson
from mailmaker.common.mail.subjects import address_subject, contact_subject
from mailmaker.common.mail.tokens import Purpose, Token
from mailmaker.common.storage.ids import new_id
from suppression_house import TOKENS, Door, FakeContacts, bearer

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'


async def entries(door: Door, secret: str) -> list[dict]:
    return (await door.http.get("/v1/suppressions", headers=bearer(secret))).json()["items"]


async def test_get_and_head_change_nothing(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    of = contacts.list(account)
    path = "/u/" + door.token(account, contacts.contact(of, "ada@example.it"))
    for _ in range(3):
        page = await door.http.get(path, headers={"Accept-Language": "en", "Purpose": "prefetch"})
        assert page.status_code == 200
        assert "<button" in page.text
        assert "Novità &lt;b&gt;" in page.text
        assert page.headers["content-type"].startswith("text/html")
        head = await door.http.head(path)
        assert head.status_code == 200
        assert head.content == b""
        assert (await door.http.options(path)).status_code == 405
    assert "Annulla" in (await door.http.get(path, headers={"Accept-Language": "it-IT"})).text
    assert (await door.feed())["head"] == 0
    assert await entries(door, secret) == []


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"List-Unsubscribe=One-Click", FORM["Content-Type"], "one_click"),
        (MULTIPART, "multipart/form-data; boundary=b", "one_click"),
        (b"by=page", FORM["Content-Type"], "link"),
        (b"", None, "link"),
        (b"\xff\0" * 50_000, "application/octet-stream", "link"),
    ],
)
async def test_any_body_unsubscribes(
    door: Door, contacts: FakeContacts, body: bytes, kind: str | None, expected: str
) -> None:
    account, secret = contacts.account()
    of = contacts.list(account)
    contact = contacts.contact(of, "ada@example.it")
    headers = {"Origin": "null", "Cookie": "a=b"} | ({"Content-Type": kind} if kind else {})
    answer = await door.http.post("/u/" + door.token(account, contact).upper(), content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert not {"location", "set-cookie"} & set(answer.headers)
    page = await door.feed()
    [item] = page["items"]
    assert item["door"] == expected
    assert item["list_id"] == str(of.list_id)
    assert len(item["subjects"]) == 2
    found = await door.http.get(
        "/v1/suppressions", params={"email": "ADA@example.it"}, headers=bearer(secret)
    )
    [entry] = found.json()["items"]
    assert (entry["door"], entry["scope"], entry["reason"]) == (expected, "list", "unsubscribe")
    assert entry["contact"] == str(contact.contact_id)


async def test_a_second_click_changes_nothing_more(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    path = "/u/" + door.token(account, contacts.contact(contacts.list(account), "ada@example.it"))
    assert [(await door.http.post(path)).status_code for _ in range(3)] == [200] * 3
    assert (await door.feed())["head"] == 1
    assert len(await entries(door, secret)) == 1


async def test_the_page_tells_the_truth(door: Door, contacts: FakeContacts) -> None:
    account, _ = contacts.account()
    path = "/u/" + door.token(account, contacts.contact(contacts.list(account), "ada@example.it"))
    told = await door.http.post(path, headers={"Accept-Language": "en"})
    assert "being applied" in told.text
    some = tuple(InFlight(message=new_id(), mailing=new_id(), channel="email") for _ in range(3))
    await door.enforce(stopped=some[:2], in_flight=some[2:])
    told = await door.http.post(path, headers={"Accept-Language": "en"})
    assert "2 messages about to leave were stopped" in told.text
    assert "1 message was already" in told.text


async def test_a_forged_token_is_nothing(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    contact = contacts.contact(contacts.list(account), "ada@example.it")
    good = door.token(account, contact)
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    forged = []
    for place, letter in enumerate(good):
        value = alphabet.index(letter)
        forged += [good[:place] + alphabet[value ^ (1 << bit)] + good[place + 1 :] for bit in range(5)]
    forged += [good[:-1], good + "a", "a" * 56, "x", "%00", "é" * 56, good[:-1] + "1", good + "/"]
    forged += [
        TOKENS.mint(p, Token(account.number, 7, contact.contact_id))
        for p in Purpose
        if p != Purpose.UNSUBSCRIBE
    ]
    forged.append(TOKENS.mint(Purpose.UNSUBSCRIBE, Token(999, 7, contact.contact_id)))
    pages = set()
    for text in forged:
        for method in ("GET", "POST"):
            answer = await door.http.request(method, f"/u/{text}", headers={"Accept-Language": "en"})
            assert answer.status_code == 404, text
            if "/" not in text:
                pages.add(answer.text)
        assert (await door.http.head(f"/u/{text}")).status_code == 404
    assert len(pages) == 1, "one page for all that is not a link of ours"
    assert (await door.feed())["head"] == 0
    assert await entries(door, secret) == []


async def test_contacts_away_means_by_contact_at_once_and_whole_later(
    door: Door, contacts: FakeContacts
) -> None:
    account, secret = contacts.account()
    of = contacts.list(account)
    contact = contacts.contact(of, "ada@example.it")
    await door.http.get("/v1/suppressions", headers=bearer(secret))  # the account is known now
    await door.running.app.state.keyring.account_by_number(account.number)
    contacts.away = True
    path = "/u/" + door.token(account, contact)
    assert (await door.http.post(path)).status_code == 200
    [item] = (await door.feed())["items"]
    assert item["list_id"] is None
    assert len(item["subjects"]) == 1
    await door.enforce()
    [entry] = await entries(door, secret)
    assert entry["enforced_at"] is None, "not before its address is in force too"

    contacts.away = False
    page = await door.feed(1, wait=20)
    [more] = page["items"]
    assert more["suppression_id"] == entry["id"]
    assert more["list_id"] == str(of.list_id)
    await door.enforce(1)
    [entry] = await entries(door, secret)
    assert entry["enforced_at"] is not None
    assert entry["list"] == str(of.list_id)
    found = await door.http.get(
        "/v1/suppressions", params={"email": "ada@example.it"}, headers=bearer(secret)
    )
    assert [e["id"] for e in found.json()["items"]] == [entry["id"]]


async def test_a_contact_that_is_gone_is_enforced_by_its_id(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    path = "/u/" + door.token(account, uuid4())
    assert (await door.http.get(path)).status_code == 200
    assert (await door.http.post(path)).status_code == 200
    await door.enforce()
    [entry] = await entries(door, secret)
    assert entry["enforced_at"] is not None
    assert entry["list"] is None


async def test_another_accounts_contact_is_not_looked_up(door: Door, contacts: FakeContacts) -> None:
    mine, _secret = contacts.account()
    other, others_secret = contacts.account()
    theirs = contacts.contact(contacts.list(other), "ada@example.it")
    assert (await door.http.post("/u/" + door.token(mine, theirs))).status_code == 200
    [item] = (await door.feed())["items"]
    assert item["account_id"] == str(mine.account_id)
    assert len(item["subjects"]) == 1
    assert await entries(door, others_secret) == []


async def test_a_suspended_accounts_links_still_work(door: Door, contacts: FakeContacts) -> None:
    account, _ = contacts.account("suspended")
    path = "/u/" + door.token(account, contacts.contact(contacts.list(account), "ada@example.it"))
    assert (await door.http.post(path)).status_code == 200
    assert (await door.feed())["head"] == 1


async def test_the_link_of_a_record_that_was_merged_away_names_the_one_that_stayed(
    door: Door, contacts: FakeContacts
) -> None:
    account, secret = contacts.account()
    of = contacts.list(account)
    gone, stayed = contacts.contact(of, "ada@example.it"), contacts.contact(of, "lovelace@example.it")
    person = SamePerson(contact_id=stayed.contact_id, email_key=stayed.email_key, mobile_key=None)
    contacts.contacts[gone.contact_id] = gone.model_copy(update={"merged_into": (person,)})
    for away in (False, True):
        contacts.away = away
        assert (await door.http.post("/u/" + door.token(account, gone))).status_code == 200
    contacts.away = False
    [line] = (await door.feed())["items"]
    assert line["list_id"] == str(of.list_id)
    assert {bytes.fromhex(s) for s in line["subjects"]} == {
        contact_subject(gone.contact_id),
        contact_subject(stayed.contact_id),
        *(address_subject(bytes.fromhex(one.email_key or "")) for one in (gone, stayed)),
    }
    for email in ("ada@example.it", "lovelace@example.it"):
        found = await door.http.get(f"/v1/suppressions?email={email}", headers=bearer(secret))
        assert [entry["door"] for entry in found.json()["items"]] == ["link"]


@pytest.mark.parametrize("away", [False, True])
async def test_records_of_one_address_that_were_merged_are_named_once(
    door: Door, contacts: FakeContacts, away: bool
) -> None:
    account, _ = contacts.account()
    of = contacts.list(account)
    gone, stayed = contacts.contact(of, "ada@example.it"), contacts.contact(of, "ada@example.it")
    person = SamePerson(contact_id=stayed.contact_id, email_key=stayed.email_key, mobile_key=None)
    contacts.contacts[gone.contact_id] = gone.model_copy(update={"merged_into": (person, person)})
    contacts.away = away
    assert (await door.http.post("/u/" + door.token(account, gone))).status_code == 200
    contacts.away = False
    page = await door.feed_until(lambda p: len({s for item in p["items"] for s in item["subjects"]}) == 3)
    assert all(len(set(item["subjects"])) == len(item["subjects"]) for item in page["items"])


async def test_a_no_heard_while_contacts_was_away_is_completed_with_the_record_that_stayed(
    door: Door, contacts: FakeContacts
) -> None:
    account, _ = contacts.account()
    of = contacts.list(account)
    gone, stayed = contacts.contact(of, "ada@example.it"), contacts.contact(of, "lovelace@example.it")
    person = SamePerson(contact_id=stayed.contact_id, email_key=stayed.email_key, mobile_key=None)
    contacts.contacts[gone.contact_id] = gone.model_copy(update={"merged_into": (person,)})
    contacts.away = True
    assert (await door.http.post("/u/" + door.token(account, gone))).status_code == 200
    contacts.away = False
    page = await door.feed_until(lambda p: len(p["items"]) == 2)
    named = {s for item in page["items"] for s in item["subjects"]}
    assert contact_subject(stayed.contact_id).hex() in named
    assert len(named) == 4


async def test_a_no_said_again_while_contacts_was_away_names_the_address_that_the_person_has_since(
    door: Door, contacts: FakeContacts
) -> None:
    account, secret = contacts.account()
    of = contacts.list(account)
    contact = contacts.contact(of, "ada@example.it")
    path = "/u/" + door.token(account, contact)
    assert (await door.http.post(path)).status_code == 200
    await door.enforce()
    [entry] = await entries(door, secret)
    assert entry["enforced_at"] is not None

    moved = contacts.contact(of, "lovelace@example.it")
    contacts.contacts[contact.contact_id] = moved.model_copy(update={"contact_id": contact.contact_id})
    contacts.away = True
    assert (await door.http.post(path)).status_code == 200
    [again] = await entries(door, secret)
    assert (again["id"], again["enforced_at"]) == (entry["id"], entry["enforced_at"])
    contacts.away = False
    page = await door.feed_until(lambda p: len(p["items"]) == 2)
    new_address = address_subject(bytes.fromhex(moved.email_key or "")).hex()
    assert page["items"][1]["subjects"] == [new_address]
    [again] = await entries(door, secret)
    assert (again["id"], again["enforced_at"]) == (entry["id"], entry["enforced_at"])
