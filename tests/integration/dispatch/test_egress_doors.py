"""The doors of pools, sources and routes: the operator assigns, a client chooses among its own, and sees no other's."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
from dispatch_street import CLOCK, Dns, OneAccount, Person, Street, a_desk
from mailmaker.common.contracts.internal import AccountRow, KeyRow, KeysPage
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.app import create_app
from mailmaker.common.web.keyring import KeyRing
from mailmaker.dispatch.actions.find_sites import FindSites
from mailmaker.dispatch.api import egress, mailings
from mailmaker.dispatch.domain.shaping import lane_of
from mailmaker.dispatch.relay.shaped import shipped

OPERATOR, MINE, THEIRS = "mm_op_test", "mm_live_mine", "mm_live_theirs"
DNS = Dns({"gmail.com": ["gmail-smtp-in.l.google.com"], "small.test": ["mx.small.test"]})
SCOPES = ("domains:read", "domains:write", "mailings:read", "mailings:write")


class TwoAccounts(OneAccount):
    """The street's account and a neighbour."""

    def __init__(self, mine: UUID, theirs: UUID) -> None:
        super().__init__(mine)
        self._rows = [
            AccountRow(account_id=one, number=n, name="An account", state="open", version=n)
            for n, one in enumerate((mine, theirs), 1)
        ]

    async def changes(self, after: int) -> KeysPage:
        return KeysPage(accounts=tuple(self._rows), keys=(), version=2)

    async def key(self, secret_hash: str) -> KeyRow | None:
        for secret, row in zip((MINE, THEIRS), self._rows, strict=True):
            if secret_hash == hashlib.sha256(secret.encode()).hexdigest():
                return KeyRow(
                    key_id=new_id(),
                    account_id=row.account_id,
                    secret_hash=secret_hash,
                    scopes=SCOPES,
                    version=1,
                )
        return None

    async def account(self, id_or_number: str) -> AccountRow | None:
        return next((row for row in self._rows if str(row.account_id) == id_or_number), None)


@dataclass
class Doors:
    """Three callers of one house."""

    operator: httpx.AsyncClient
    mine: httpx.AsyncClient
    theirs: httpx.AsyncClient
    neighbour: UUID

    async def pool(self, account: UUID, name: str, **more: object) -> str:
        made = await self.operator.post("/v1/pools", json={"account": str(account), "name": name, **more})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def source(self, account: UUID, pool: str, ip: str, **more: object) -> httpx.Response:
        plain = {"name": f"out {ip}", "driver": "direct", "address": ip, "ehlo": "out.example.test"}
        body = {"account": str(account), "pool": pool, **plain, **more}
        return await self.operator.post("/v1/sources", json=body)


@pytest.fixture
async def doors(street: Street) -> AsyncIterator[Doors]:
    neighbour = new_id()
    keyring = KeyRing(TwoAccounts(street.account_id, neighbour), CLOCK, street.db)
    await keyring.pull()
    shared = Shared.model_validate(
        {
            "service_token": "s" * 32,
            "token_keys": "1:" + "a" * 43,
            "pepper": "cA" * 22,
            "operator_key_hash": hashlib.sha256(OPERATOR.encode()).hexdigest(),
        }
    )
    app = create_app(
        "dispatch",
        [egress.router, mailings.router],
        shared=shared,
        keyring=keyring,
        metrics=Metrics(),
        ready={},
        state=a_desk(street, dns=DNS),
    )
    transport = httpx.ASGITransport(app)
    clients = [
        httpx.AsyncClient(
            transport=transport, base_url="http://dispatch", headers={"Authorization": f"Bearer {key}"}
        )
        for key in (OPERATOR, MINE, THEIRS)
    ]
    yield Doors(*clients, neighbour)
    for client in clients:
        await client.aclose()


def codes(answer: httpx.Response) -> list[str]:
    return [error["code"] for error in answer.json()["errors"]]


async def test_an_address_is_one_accounts_whoever_asks(doors: Doors, street: Street) -> None:
    mine, theirs = await doors.pool(street.account_id, "mine"), await doors.pool(doors.neighbour, "theirs")
    first = await doors.source(street.account_id, mine, "192.0.2.1")
    assert first.status_code == 201
    again = await doors.source(doors.neighbour, theirs, "192.0.2.1")
    assert (again.status_code, codes(again)) == (409, ["address.taken"])
    astray = await doors.source(doors.neighbour, mine, "192.0.2.2")
    assert (astray.status_code, codes(astray)) == (422, ["pool.unknown"])
    gone = await doors.operator.delete(
        f"/v1/sources/{first.json()['id']}", params={"account": str(street.account_id)}
    )
    assert gone.status_code == 204
    assert (await doors.source(doors.neighbour, theirs, "192.0.2.1")).status_code == 201


async def test_a_client_sees_its_own_and_assigns_nothing(doors: Doors, street: Street) -> None:
    pool = await doors.pool(street.account_id, "mine")
    source = (await doors.source(street.account_id, pool, "2001:db8::1", warm_up=True)).json()
    assert (source["address"], source["warm_up"]) == ("2001:db8::1", True)
    assert [one["id"] for one in (await doors.mine.get("/v1/sources")).json()["items"]] == [source["id"]]
    assert (await doors.theirs.get("/v1/sources")).json()["items"] == []
    assert (await doors.theirs.get("/v1/pools")).json()["items"] == []
    for client, status in ((doors.mine, 403), (doors.theirs, 403)):
        body = {"account": str(street.account_id), "name": "another"}
        assert (await client.post("/v1/pools", json=body)).status_code == status
    other = await doors.mine.get("/v1/pools", params={"account": str(doors.neighbour)})
    assert other.status_code == 404
    rule = {"name": "r", "pool": pool, "account": str(street.account_id)}
    assert (await doors.theirs.post("/v1/routes", json=rule)).status_code == 404
    stolen = await doors.theirs.post("/v1/routes", json={"name": "r", "pool": pool})
    assert (stolen.status_code, codes(stolen)) == (422, ["pool.unknown"])
    warm = await doors.mine.get(f"/v1/sources/{source['id']}/warm-up")
    assert warm.json()["items"] == []
    assert (await doors.theirs.get(f"/v1/sources/{source['id']}/warm-up")).status_code == 404


async def test_a_secret_goes_in_and_does_not_come_out(doors: Doors, street: Street) -> None:
    pool = await doors.pool(street.account_id, "mine")
    login = {"driver": "smarthost", "address": None, "server": "mail.example.test:587", "username": "u"}
    made = await doors.source(street.account_id, pool, "", **login, password="the secret", name="host")
    assert made.status_code == 201, made.text
    listed = await doors.operator.get("/v1/sources", params={"account": str(street.account_id)})
    async with street.db.platform() as tx:
        kept = await tx.driver.fetchval("SELECT secret FROM sources")
    assert b"the secret" not in kept
    assert "the secret" not in made.text + listed.text


@pytest.mark.parametrize(
    ("about", "code"),
    [
        ({"address": None}, "source.address"),
        ({"address": "300.1.1.1"}, "source.address"),
        ({"address": "0.0.0.0"}, "source.address"),
        ({"address": "::"}, "source.address"),
        ({"address": "::ffff:192.0.2.1"}, "source.address"),
        ({"driver": "socks5"}, "source.server"),
        ({"driver": "smarthost"}, "source.address"),
        ({"username": "u"}, "source.password"),
        ({"ehlo": "not a name"}, "source.ehlo"),
    ],
)
async def test_a_source_that_cannot_be_is_refused_by_its_field(
    doors: Doors, street: Street, about: dict[str, object], code: str
) -> None:
    pool = await doors.pool(street.account_id, "mine")
    answer = await doors.source(street.account_id, pool, "192.0.2.1", **about)
    assert answer.status_code == 422
    assert code in codes(answer)


async def test_rules_are_explained_as_they_stand(doors: Doors, street: Street) -> None:
    main, offers = await doors.pool(street.account_id, "main"), await doors.pool(street.account_id, "offers")
    await doors.source(street.account_id, main, "192.0.2.1")
    list_id = str(new_id())
    question = {"sender": str(street.sender), "list": list_id, "tag": "offers"}

    async def told(**more: str) -> dict[str, object]:
        answer = await doors.mine.post("/v1/routes:explain", json={**question, **more})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    first = await told()
    assert (first["pool"]["name"], first["route"]) == ("main", None)  # type: ignore[index]
    unknown = await doors.mine.post(
        "/v1/routes", json={"name": "x", "pool": offers, "when": {"provider": "no such"}}
    )
    assert (unknown.status_code, codes(unknown)) == (422, ["provider.unknown"])
    made = await doors.mine.post(
        "/v1/routes", json={"name": "offers", "pool": offers, "when": {"tag": "offers", "provider": "google"}}
    )
    assert made.status_code == 201
    google = await told(recipient="somebody@gmail.com")
    assert (google["provider"], google["pool"]["name"]) == ("google", "offers")  # type: ignore[index]
    assert "no source of 'offers' is active" in str(google["why"])
    assert (await told(recipient="small.test"))["pool"]["name"] == "main"  # type: ignore[index]
    await doors.source(street.account_id, offers, "192.0.2.9")
    assert "it leaves from a source of 'offers'" in str((await told(provider="google"))["why"])
    assert (await doors.mine.delete(f"/v1/routes/{made.json()['id']}")).status_code == 204
    assert (await told(provider="google"))["route"] is None
    in_use = await doors.operator.delete(f"/v1/pools/{main}", params={"account": str(street.account_id)})
    assert (in_use.status_code, in_use.json()["code"]) == (409, "in_use")


async def test_what_would_wait_for_a_way_does_not_start(doors: Doors, street: Street) -> None:
    list_id = street.contacts.open_list([Person("a@gmail.com"), Person("b@small.test")])
    body = {
        "name": "m",
        "template": str(street.template),
        "sender": str(street.sender),
        "lists": [str(list_id)],
    }
    mailing = (await doors.mine.post("/v1/mailings", json={**body, "tag": "news"})).json()
    assert mailing["tag"] == "news"
    pool = await doors.pool(street.account_id, "main")

    async def blockers() -> list[str]:
        found = await doors.mine.post(f"/v1/mailings/{mailing['id']}:preflight")
        return [one["code"] for one in found.json()["blockers"]]

    assert await blockers() == ["pool.no_source"]
    source = (await doors.source(street.account_id, pool, "192.0.2.1")).json()
    assert await blockers() == []
    whose = {"account": str(street.account_id)}
    await doors.operator.patch(f"/v1/pools/{pool}", params=whose, json={"default": False})
    assert await blockers() == ["route.none"]
    await doors.operator.patch(f"/v1/pools/{pool}", params=whose, json={"default": True})
    await doors.operator.patch(f"/v1/sources/{source['id']}", params=whose, json={"state": "paused"})
    refused = await doors.mine.post(f"/v1/mailings/{mailing['id']}:start")
    assert (refused.status_code, codes(refused)) == (409, ["pool.no_source"])
    await doors.operator.patch(f"/v1/sources/{source['id']}", params=whose, json={"state": "active"})
    assert (await doors.mine.post(f"/v1/mailings/{mailing['id']}:start")).status_code == 202


async def test_what_waits_is_told_apart_by_site_from_the_first_source_on_that_asks_for_it(
    doors: Doors, street: Street
) -> None:
    list_id = street.contacts.open_list([Person("a@gmail.com"), Person("b@small.test")])
    pool = await doors.pool(street.account_id, "main")
    whole = {"driver": "smarthost", "address": None, "server": "127.0.0.1:25", "name": "host"}
    assert (await doors.source(street.account_id, pool, "", **whole)).status_code == 201
    await street.mailing(list_id)
    assert await lanes(street) == [None, None]
    await doors.source(street.account_id, pool, "192.0.2.1")
    finder = FindSites(street.db, DNS, shipped(), CLOCK)
    while await finder.step() or "" in await lanes(street):
        pass
    assert await lanes(street) == ["google", lane_of(None, "mx.small.test")]
    await street.mailing(list_id)
    assert sorted(str(lane) for lane in await lanes(street)) == sorted(
        ["google", lane_of(None, "mx.small.test")] * 2
    )


async def lanes(street: Street) -> list[str | None]:
    async with street.db.platform() as tx:
        return [row["lane"] for row in await tx.driver.fetch("SELECT lane FROM messages ORDER BY id")]
