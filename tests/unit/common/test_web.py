"""unit: the doors' manners: keys, scopes, suspended accounts, stale views, problems that name the field."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Depends
from mailmaker.common.contracts.internal import AccountRow, KeyRow, KeysPage
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared, WrongSettings, load_shared
from mailmaker.common.testing.clock import FakeClock
from mailmaker.common.web.app import create_app
from mailmaker.common.web.auth import internal_only, may, may_operate
from mailmaker.common.web.call import Call
from mailmaker.common.web.internal import Unreachable
from mailmaker.common.web.keyring import KeyRing
from pydantic import BaseModel, Field, SecretStr

OPEN, SUSPENDED = UUID(int=1), UUID(int=2)
SHARED = Shared(
    service_token=SecretStr("s" * 32),
    token_keys=SecretStr("1:" + "A" * 43),
    pepper=SecretStr("A" * 43),
    operator_key_hash=SecretStr(hashlib.sha256(b"mm_op_boss").hexdigest()),
)


class Wish(BaseModel):
    name: str = Field(min_length=1)
    sizes: list[int] = []


router = APIRouter()


@router.post("/v1/lists")
async def open_list(call: Annotated[Call, may("lists:write")], wish: Wish) -> dict[str, str | None]:
    return {"account": str(call.account_id), "once": call.once.key if call.once else None}


@router.get("/v1/lists")
async def lists(call: Annotated[Call, may("lists:read")]) -> dict[str, str]:
    return {"account": str(call.account_id)}


@router.post("/v1/suppressions")
async def say_no(call: Annotated[Call, may("suppressions:write", records_a_no=True)]) -> dict[str, str]:
    return {"account": str(call.account_id)}


@router.post("/v1/accounts")
async def open_account(call: Annotated[Call, may_operate()]) -> dict[str, bool]:
    return {"operator": call.operator}


@router.get("/internal/thing", dependencies=[Depends(internal_only)])
async def thing() -> dict[str, bool]:
    return {"ok": True}


@router.get("/v1/broken")
async def broken() -> None:
    raise RuntimeError("secret words of the stack")


def key(secret: str, account: UUID, *scopes: str, revoked: bool = False) -> KeyRow:
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return KeyRow(
        key_id=UUID(int=account.int + 100),
        account_id=account,
        secret_hash=digest,
        scopes=scopes,
        revoked=revoked,
        version=1,
    )


class Owner:
    """contacts, as these tests need it."""

    def __init__(self) -> None:
        every = ("lists:read", "lists:write", "suppressions:write")
        self.accounts = [
            AccountRow(account_id=OPEN, number=1, name="a", state="open", version=1),
            AccountRow(account_id=SUSPENDED, number=2, name="b", state="suspended", version=2),
        ]
        self.keys = [
            key("mm_live_all", OPEN, *every),
            key("mm_live_read", OPEN, "lists:read"),
            key("mm_live_late", SUSPENDED, *every),
            key("mm_live_gone", OPEN, *every, revoked=True),
        ]
        self.fresh: list[KeyRow] = []
        self.away = False

    async def changes(self, after: int) -> KeysPage:
        if self.away:
            raise Unreachable("away")
        return KeysPage(accounts=tuple(self.accounts), keys=tuple(self.keys), version=9)

    async def key(self, secret_hash: str) -> KeyRow | None:
        if self.away:
            raise Unreachable("away")
        return next((k for k in self.fresh if k.secret_hash == secret_hash), None)

    async def account(self, id_or_number: str) -> AccountRow | None:
        return None


class Stage:
    def __init__(self, http: httpx.AsyncClient, owner: Owner, clock: FakeClock, keyring: KeyRing) -> None:
        self.http, self.owner, self.clock, self.keyring = http, owner, clock, keyring

    async def ask(
        self, method: str, path: str, secret: str = "mm_live_all", **more: object
    ) -> httpx.Response:
        return await self.http.request(method, path, headers={"Authorization": f"Bearer {secret}"}, **more)  # type: ignore[arg-type]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    owner, clock = Owner(), FakeClock()
    keyring = KeyRing(owner, clock)
    await keyring.pull()
    app = create_app(
        "house", [router], shared=SHARED, keyring=keyring, metrics=Metrics(), ready={}, state=None
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://t"
    ) as http:
        yield Stage(http, owner, clock, keyring)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code)
    return body


async def test_the_account_is_the_keys(stage: Stage) -> None:
    answer = await stage.ask("GET", "/v1/lists")
    assert answer.json() == {"account": str(OPEN)}
    assert answer.headers["x-request-id"]


async def test_who_may_not(stage: Stage) -> None:
    problem(await stage.http.get("/v1/lists"), 401, "unauthorised")
    problem(await stage.ask("GET", "/v1/lists", "mm_live_unknown"), 401, "unauthorised")
    problem(await stage.ask("GET", "/v1/lists", "mm_live_gone"), 401, "unauthorised")
    problem(await stage.ask("POST", "/v1/lists", "mm_live_read", json={"name": "n"}), 403, "scope_missing")
    problem(await stage.ask("GET", "/v1/lists", "mm_op_boss"), 403, "account_key_needed")
    problem(await stage.ask("POST", "/v1/accounts"), 403, "operator_only")
    assert (await stage.ask("POST", "/v1/accounts", "mm_op_boss")).json() == {"operator": True}
    problem(await stage.ask("GET", "/internal/thing"), 401, "unauthorised")
    assert (await stage.ask("GET", "/internal/thing", "s" * 32)).status_code == 200


async def test_a_suspended_account_reads_and_says_no_but_writes_nothing(stage: Stage) -> None:
    assert (await stage.ask("GET", "/v1/lists", "mm_live_late")).status_code == 200
    problem(
        await stage.ask("POST", "/v1/lists", "mm_live_late", json={"name": "n"}), 403, "account_suspended"
    )
    assert (await stage.ask("POST", "/v1/suppressions", "mm_live_late")).status_code == 200


async def test_a_stale_view_serves_only_a_no(stage: Stage) -> None:
    stage.owner.away = True
    stage.clock.pass_time(5.1)
    problem(await stage.ask("GET", "/v1/lists"), 503, "keys_stale")
    assert (await stage.ask("POST", "/v1/suppressions")).status_code == 200


async def test_a_key_issued_a_moment_ago_is_known(stage: Stage) -> None:
    stage.owner.fresh = [key("mm_live_new", OPEN, "lists:read")]
    assert (await stage.ask("GET", "/v1/lists", "mm_live_new")).status_code == 200


async def test_wrong_fields_are_named(stage: Stage) -> None:
    answer = await stage.ask("POST", "/v1/lists", json={"name": "", "sizes": [1, "x"]})
    body = problem(answer, 422, "invalid")
    errors = body["errors"]
    assert isinstance(errors, list)
    assert {fault["pointer"] for fault in errors} == {"/name", "/sizes/1"}


async def test_a_path_that_is_not_there_and_a_fault_of_ours(stage: Stage) -> None:
    problem(await stage.ask("GET", "/v1/nothing"), 404, "not_found")
    body = problem(await stage.ask("GET", "/v1/broken"), 500, "internal")
    assert "secret words" not in str(body)


async def test_a_body_without_end_is_refused(stage: Stage) -> None:
    answer = await stage.ask("POST", "/v1/lists", content=b'{"name": "' + b"x" * (17 * 1024 * 1024) + b'"}')
    problem(answer, 413, "body_too_large")


async def test_idempotency_keys(stage: Stage) -> None:
    auth = {"Authorization": "Bearer mm_live_all"}
    answer = await stage.http.post("/v1/lists", json={"name": "n"}, headers=auth | {"Idempotency-Key": "k"})
    assert answer.json()["once"] == "k"
    answer = await stage.http.post(
        "/v1/lists", json={"name": "n"}, headers=auth | {"Idempotency-Key": "k" * 256}
    )
    problem(answer, 422, "invalid")


async def test_health(stage: Stage) -> None:
    assert (await stage.http.get("/livez")).status_code == 200
    assert (await stage.http.get("/readyz")).json() == {"ready": True, "missing": {}}
    assert b"mailmaker_http_request_seconds_count" in (await stage.http.get("/metrics")).content
    assert (await stage.http.get("/version")).json()["service"] == "house"


def test_unknown_settings_are_refused_by_name_and_without_values() -> None:
    environ = {
        "MAILMAKER_SERVICE_TOKEN": "s" * 32,
        "MAILMAKER_TOKEN_KEYS": "1:" + "A" * 43,
        "MAILMAKER_PEPPER": "A" * 43,
        "MAILMAKER_CONTACTS_PORT": "1",
        "PATH": "/bin",
    }
    assert load_shared(environ, ("contacts",)).kafka == ""
    with pytest.raises(WrongSettings, match="MAILMAKER_KAFKAA") as wrong:
        load_shared(environ | {"MAILMAKER_KAFKAA": "hush"}, ("contacts",))
    assert "hush" not in str(wrong.value)
    with pytest.raises(WrongSettings, match="MAILMAKER_PEPPER"):
        load_shared(environ | {"MAILMAKER_PEPPER": "short"}, ("contacts",))
