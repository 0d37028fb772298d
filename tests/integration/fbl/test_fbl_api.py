"""GET /v1/reports: each account its own, the operator all, newest first, found by hash and Message-ID."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from fbl_house import Fbl
from mailmaker.common.contracts.internal import AccountRow, KeyRow, KeysPage
from mailmaker.common.mail.tokens import Purpose, Token
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.app import create_app
from mailmaker.common.web.keyring import KeyRing
from mailmaker.fbl.api import reports

FIELDS = {
    "id",
    "sha256",
    "kind",
    "received_at",
    "rcpt",
    "message_id",
    "feedback_type",
    "recipients",
    "identity",
    "attributed",
    "acted",
    "suppression",
    "error",
}
MAIL = b"Subject: unsubscribe\r\nMessage-ID: <one@y.example>\r\n\r\n\xff\r\n"


class Keys:
    """contacts' word on keys: `a-secret` opens account 7, `b-secret` account 8, `c-secret` may read nothing."""

    def __init__(self, fbl: Fbl) -> None:
        self.fbl = fbl

    async def changes(self, after: int) -> KeysPage:
        return KeysPage(
            accounts=tuple(row for name, row in self.fbl.contacts.rows.items() if name.isdigit()),
            keys=tuple(
                self._key(*one)
                for one in (("a-secret", 7, True), ("b-secret", 8, True), ("c-secret", 7, False))
            ),
            version=1,
        )

    async def key(self, secret_hash: str) -> KeyRow | None:
        return None

    async def account(self, id_or_number: str) -> AccountRow | None:
        return None

    def _key(self, secret: str, number: int, reads: bool) -> KeyRow:
        return KeyRow(
            key_id=new_id(),
            account_id=self.fbl.contacts.rows[str(number)].account_id,
            secret_hash=hashlib.sha256(secret.encode()).hexdigest(),
            scopes=("reports:read",) if reads else (),
            version=1,
        )


@pytest.fixture
async def http(fbl: Fbl) -> AsyncIterator[httpx.AsyncClient]:
    fbl.contacts.open(8)
    keyring = KeyRing(Keys(fbl), SystemClock())
    await keyring.pull()
    shared = Shared.model_validate(
        {
            "service_token": "s" * 32,
            "token_keys": "1:" + base64.urlsafe_b64encode(b"k" * 32).decode(),
            "pepper": base64.urlsafe_b64encode(b"p" * 32).decode(),
            "operator_key_hash": hashlib.sha256(b"operator").hexdigest(),
        }
    )
    app: FastAPI = create_app(
        "fbl", [reports.router], shared=shared, keyring=keyring, metrics=Metrics(), ready={}, state=fbl.db
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://fbl") as client:
        yield client


def key(secret: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}", **more}


async def test_the_shape_of_a_report_and_how_it_is_found(fbl: Fbl, http: httpx.AsyncClient) -> None:
    rcpt = fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE)
    assert (await fbl.send(rcpt, MAIL))[0] == 250
    digest = hashlib.sha256(MAIL).hexdigest()
    for query in ({"sha256": digest}, {"message_id": "<one@y.example>"}, {"message_id": "one@y.example"}, {}):
        (report,) = (await http.get("/v1/reports", params=query, headers=key("a-secret"))).json()["items"]
        assert set(report) == FIELDS
        assert (report["kind"], report["acted"], report["sha256"]) == ("unsubscribe", "suppressed", digest)
        assert (report["rcpt"], report["message_id"], report["attributed"]) == (rcpt, "<one@y.example>", True)
        assert report["identity"] == {"address": None, "token": rcpt[2:58], "original_message_id": None}
        assert report["suppression"] == report["id"]
        assert report["received_at"].endswith("Z")
    answer = await http.get(f"/v1/reports/{report['id']}", headers=key("a-secret"))
    assert set(answer.json()) == FIELDS | {"raw"}
    assert base64.b64decode(answer.json()["raw"]) == MAIL
    answer = await http.get(f"/v1/reports/{report['id']}", headers=key("a-secret", Accept="message/rfc822"))
    assert answer.content == MAIL
    assert answer.headers["content-type"] == "message/rfc822"
    for query in ({"sha256": "0" * 64}, {"message_id": "<other@y.example>"}):
        assert (await http.get("/v1/reports", params=query, headers=key("a-secret"))).json()["items"] == []


async def test_accounts_see_their_own_and_the_operator_all(fbl: Fbl, http: httpx.AsyncClient) -> None:
    await fbl.send(fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE), MAIL)
    await fbl.send(fbl.rcpt(Purpose.MAIL_UNSUBSCRIBE, Token(8, 1, new_id())), MAIL)
    await fbl.send("abuse@mail.example.com", MAIL)
    seen = {}
    for secret in ("a-secret", "b-secret", "operator"):
        seen[secret] = [
            one["id"] for one in (await http.get("/v1/reports", headers=key(secret))).json()["items"]
        ]
    assert [len(ids) for ids in seen.values()] == [1, 1, 3]
    assert seen["operator"] == sorted(seen["operator"], reverse=True)
    for secret, report in (
        ("a-secret", seen["b-secret"][0]),
        ("b-secret", seen["operator"][0]),
        ("operator", new_id()),
    ):
        answer = await http.get(f"/v1/reports/{report}", headers=key(secret))
        assert (answer.status_code, answer.json()["code"]) == (404, "report_not_found")
    assert (await http.get(f"/v1/reports/{seen['a-secret'][0]}", headers=key("operator"))).status_code == 200


async def test_pages_and_refusals(fbl: Fbl, http: httpx.AsyncClient) -> None:
    for number in range(3):
        await fbl.send(fbl.rcpt(Purpose.BOUNCE), MAIL + b"%d" % number)
    first = (await http.get("/v1/reports?limit=2", headers=key("a-secret"))).json()
    rest = (await http.get("/v1/reports", params={"cursor": first["next"]}, headers=key("a-secret"))).json()
    assert [len(first["items"]), len(rest["items"])] == [2, 1]
    assert rest["next"] is None
    for path, status, code in (
        ("/v1/reports?sha256=zz", 422, "sha256_invalid"),
        ("/v1/reports?cursor=zz", 422, "invalid"),
        ("/v1/reports?limit=5000", 422, "invalid"),
        ("/v1/reports/nothing", 422, "invalid"),
    ):
        answer = await http.get(path, headers=key("a-secret"))
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await http.get("/v1/reports", headers=key("c-secret"))).status_code == 403
    assert (await http.get("/v1/reports")).status_code == 401
