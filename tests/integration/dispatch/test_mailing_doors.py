"""tests: the doors of dispatch over HTTP: the walk from a domain to a cancelled mailing, and every refusal by name."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from dispatch_street import CLOCK, OneAccount, Person, Street, a_desk
from mailmaker.common.contracts.internal import KeyRow
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.app import create_app
from mailmaker.common.web.keyring import KeyRing
from mailmaker.dispatch.actions.claim_batch import claim_batch
from mailmaker.dispatch.actions.settle_mailings import Settler
from mailmaker.dispatch.api import domains, mailings, templates
from mailmaker.dispatch.domain.running import Order, RunningMailing
from mailmaker.dispatch.storage import relays

SECRET = "mm_live_test"
SCOPES = (
    "domains:read",
    "domains:write",
    "templates:read",
    "templates:write",
    "mailings:read",
    "mailings:write",
)


class Keys(OneAccount):
    """One key of the street's account."""

    async def key(self, secret_hash: str) -> KeyRow | None:
        if secret_hash != hashlib.sha256(SECRET.encode()).hexdigest():
            return None
        return KeyRow(
            key_id=new_id(),
            account_id=self._row.account_id,
            secret_hash=secret_hash,
            scopes=SCOPES,
            version=1,
        )


@pytest.fixture
async def http(street: Street) -> AsyncIterator[httpx.AsyncClient]:
    keyring = KeyRing(Keys(street.account_id), CLOCK, street.db)
    await keyring.pull()
    shared = Shared.model_validate(
        {"service_token": "s" * 32, "token_keys": "1:" + "a" * 43, "pepper": "cA" * 22}
    )
    app = create_app(
        "dispatch",
        [domains.router, templates.router, mailings.router],
        shared=shared,
        keyring=keyring,
        metrics=Metrics(),
        ready={},
        state=a_desk(street),
    )
    headers = {"Authorization": f"Bearer {SECRET}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dispatch", headers=headers) as client:
        yield client


def pointers(answer: httpx.Response) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["pointer"] for error in answer.json()["errors"]]


async def test_a_domain_shows_its_records_and_is_verified_before_it_has_senders(
    http: httpx.AsyncClient,
) -> None:
    made = (await http.post("/v1/domains", json={"name": "News.Shop.TEST"})).json()
    assert made["name"] == "news.shop.test"
    assert made["state"] == "pending"
    assert made["records"][0]["name"] == f"{made['selector']}._domainkey.news.shop.test"
    assert "private" not in str(made)
    early = await http.post("/v1/senders", json={"name": "Shop", "email": "a@news.shop.test"})
    assert (early.status_code, pointers(early)) == (422, ["/email"])

    checked = await http.post(f"/v1/domains/{made['id']}:verify")
    assert checked.json()["state"] == "verified"
    sender = await http.post("/v1/senders", json={"name": "Shop", "email": "a@News.Shop.test"})
    assert sender.status_code == 201
    assert sender.json()["email"] == "a@news.shop.test"
    assert (await http.post("/v1/domains", json={"name": "news.shop.test"})).status_code == 409
    assert pointers(await http.post("/v1/domains", json={"name": "not a domain"})) == ["/name"]
    once = {"Idempotency-Key": "one"}
    rotated = (await http.post(f"/v1/domains/{made['id']}:rotate", headers=once)).json()
    assert [(key["algorithm"], key["state"]) for key in rotated["keys"]] == [
        ("rsa", "signing"),
        ("ed25519", "signing"),
        ("rsa", "next"),
        ("ed25519", "next"),
    ]
    assert "private" not in str(rotated)
    switched = (await http.post(f"/v1/domains/{made['id']}:verify")).json()
    assert (switched["state"], switched["selector"]) == ("verified", rotated["keys"][2]["selector"])
    assert (await http.post(f"/v1/domains/{made['id']}:rotate", headers=once)).json() == rotated
    assert (await http.get(f"/v1/domains/{made['id']}")).json() == switched
    assert (await http.post(f"/v1/domains/{new_id()}:rotate")).status_code == 404
    lost = (await http.post("/v1/domains", json={"name": "elsewhere.example.com"})).json()
    assert (await http.post(f"/v1/domains/{lost['id']}:verify")).json()["state"] == "pending"


async def test_templates_that_may_not_be_sent_are_refused_by_part(http: httpx.AsyncClient) -> None:
    good = {
        "channel": "email",
        "subject": "Ciao {{ name }}",
        "html": "<a href='{{ unsubscribe_url }}'>x</a>",
        "text": "{{ city }} {{ unsubscribe_url }}",
    }
    made = await http.post("/v1/templates", json=good)
    assert made.status_code == 201
    assert made.json()["fields"] == ["city", "name"]
    assert pointers(await http.post("/v1/templates", json=good | {"text": "hello"})) == ["/text"]
    assert pointers(await http.post("/v1/templates", json=good | {"html": "{% if %}"})) == ["/html"]
    assert pointers(await http.post("/v1/templates", json=good | {"subject": "a\r\nBcc: b"})) == ["/subject"]
    sms = await http.post("/v1/templates", json={"channel": "sms", "text": "hello"})
    assert (sms.status_code, sms.json()["code"]) == (422, "not_available")
    shown = await http.post(
        f"/v1/templates/{made.json()['id']}:preview", json={"values": {"name": "<b>", "city": "Roma"}}
    )
    assert shown.json()["subject"] == "Ciao <b>"
    assert shown.json()["text"].startswith("Roma https://")


async def test_a_mailing_walks_from_draft_to_cancelled(http: httpx.AsyncClient, street: Street) -> None:
    people = [Person(f"p{n}@x.test") for n in range(2500)]
    listed = street.contacts.open_list(people)
    wish = {
        "name": "News",
        "channel": "email",
        "template": str(street.template),
        "sender": str(street.sender),
        "class": "marketing",
        "lists": [str(listed)],
    }
    unknown = await http.post("/v1/mailings", json=wish | {"lists": [str(listed), str(new_id())]})
    assert (unknown.status_code, pointers(unknown)) == (422, ["/lists/1"])
    assert pointers(await http.post("/v1/mailings", json=wish | {"lists": ["nonsense"]})) == ["/lists/0"]
    assert pointers(await http.post("/v1/mailings", json=wish | {"template": str(new_id())})) == ["/template"]

    once = {"Idempotency-Key": "one"}
    made = await http.post("/v1/mailings", json=wish, headers=once)
    assert made.status_code == 201
    assert (await http.post("/v1/mailings", json=wish, headers=once)).json()["id"] == made.json()["id"]
    path = f"/v1/mailings/{made.json()['id']}"
    assert made.json()["state"] == "draft"
    assert len(made.json()["counts"]) == 12
    assert (await http.post(f"{path}:pause")).status_code == 409
    assert (await http.post(f"{path}:preflight")).json() == {"ok": True, "blockers": []}
    started = await http.post(f"{path}:start")
    assert (started.status_code, started.json()["state"]) == (202, "running")
    assert await street.expander.step()
    assert (await http.post(f"{path}:pause")).json()["state"] == "paused"
    assert (await http.post(f"{path}:resume")).json()["counts"]["waiting"] == 2500

    cancelled = (await http.post(f"{path}:cancel")).json()
    assert cancelled["state"] == "cancelled"
    assert (cancelled["counts"]["cancelled"], cancelled["counts"]["waiting"]) == (2500, 0)
    page = (await http.get(f"{path}/messages", params={"state": "cancelled", "limit": 1000})).json()
    rest = (await http.get(f"{path}/messages", params={"limit": 1000, "cursor": page["next"]})).json()
    seen = {item["contact"] for item in page["items"] + rest["items"]}
    assert len(seen) == 2000
    why = await http.get(
        "/v1/decisions", params={"mailing": made.json()["id"], "contact": str(people[0].contact_id)}
    )
    assert [(item["state"], item["verdict"]) for item in why.json()["items"]] == [("cancelled", "not_sent")]
    assert (await http.get(f"/v1/mailings/{new_id()}")).status_code == 404
    assert (await http.get("/v1/decisions")).status_code == 422


async def test_an_empty_mailing_finishes_and_says_so_once(http: httpx.AsyncClient, street: Street) -> None:
    made = await street.mailing(street.contacts.open_list([Person("a@x.test", "pending")]))
    settler = Settler(street.db, CLOCK)
    assert [await settler.step(), await settler.step()] == [1, 0]
    found = (await http.get(f"/v1/mailings/{made.id}")).json()
    assert (found["state"], found["counts"]["skipped"]) == ("finished", 1)
    async with street.db.platform() as tx:
        rows = await tx.driver.fetch(
            "SELECT convert_from(value, 'UTF8')::jsonb AS v FROM outbox WHERE topic = 'mailings.v1' ORDER BY id"
        )
    assert [row["v"]["state"] for row in rows] == ["running", "finished"]
    assert [row["v"]["version"] for row in rows] == [2, 3]
    assert UUID(rows[0]["v"]["mailing_id"]) == made.id


async def test_another_key_sees_nothing(http: httpx.AsyncClient) -> None:
    stranger = await http.get("/v1/mailings", headers={"Authorization": "Bearer mm_live_other"})
    assert stranger.status_code == 401


async def test_a_capped_contact_is_told_which_mailing_won(http: httpx.AsyncClient, street: Street) -> None:
    ann = Person("ann@x.test")
    listed = street.contacts.open_list([ann], {"day": 1})
    first, second = await street.mailing(listed), await street.mailing(listed)
    async with street.db.platform() as tx:
        fence = await relays.take(tx, 60, "test", 1, "")
    for made in (first, second):
        running = RunningMailing(
            street.account_id,
            made.id,
            made.number,
            "email",
            "marketing",
            (listed,),
            None,
            True,
            False,
            made.sender,
            "demo.test",
            None,
            False,
        )
        await claim_batch(street.db, CLOCK, Order(running), fence, 10)

    answer = await http.get("/v1/decisions", params={"contact": str(ann.contact_id)})
    won, lost = answer.json()["items"]
    assert (won["mailing"], won["state"]) == (str(first.id), "claimed")
    assert (lost["state"], lost["won_by"]) == ("capped", [{"mailing": str(first.id), "number": first.number}])
