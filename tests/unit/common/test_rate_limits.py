"""unit: a key makes so many requests, every answer says how many are left, and a "no" is never one too many."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter
from hypothesis import given, settings
from hypothesis import strategies as st
from mailmaker.common.contracts.internal import AccountRow, KeyRow, KeysPage
from mailmaker.common.ops.metrics import Metrics
from mailmaker.common.ops.settings import Shared
from mailmaker.common.testing.clock import FakeClock
from mailmaker.common.web import rate
from mailmaker.common.web.app import create_app
from mailmaker.common.web.auth import may, may_operate
from mailmaker.common.web.call import Call
from mailmaker.common.web.keyring import KeyRing
from mailmaker.common.web.rate import RateLimits
from pydantic import SecretStr

ACCOUNT = UUID(int=1)
router = APIRouter()


@router.get("/v1/lists")
async def lists(call: Annotated[Call, may("lists:read")]) -> str:
    return str(call.account_id)


@router.post("/v1/suppressions")
async def say_no(call: Annotated[Call, may("suppressions:write", records_a_no=True)]) -> str:
    return str(call.account_id)


@router.get("/v1/accounts")
async def accounts(call: Annotated[Call, may_operate()]) -> bool:
    return call.operator


def key(number: int) -> KeyRow:
    digest = hashlib.sha256(f"key {number}".encode()).hexdigest()
    scopes = ("lists:read", "suppressions:write")
    return KeyRow(
        key_id=UUID(int=number), account_id=ACCOUNT, secret_hash=digest, scopes=scopes, version=number
    )


class Owner:
    async def changes(self, after: int) -> KeysPage:
        account = AccountRow(account_id=ACCOUNT, number=1, name="A", state="open", version=1)
        return KeysPage(accounts=(account,), keys=(key(1), key(2)), version=2)

    async def key(self, secret_hash: str) -> KeyRow | None:
        return None

    async def account(self, id_or_number: str) -> AccountRow | None:
        return None


class Stage:
    """A house that lets a key make three requests in six seconds."""

    def __init__(self, http: dict[str, httpx.AsyncClient], clock: FakeClock) -> None:
        self._http = http
        self.clock = clock

    async def ask(
        self,
        path: str,
        secret: str = "key 1",
        *,
        method: str = "GET",
        peer: str = "192.0.2.1",
        **headers: str,
    ) -> httpx.Response:
        sent = {"Authorization": f"Bearer {secret}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return await self._http[peer].request(method, path, headers=sent)


PEERS = ("192.0.2.1", "127.0.0.1", "::ffff:127.0.0.1")


async def staged(*, loopback_free: bool) -> AsyncIterator[Stage]:
    clock = FakeClock()
    shared = Shared(
        service_token=SecretStr("s" * 32),
        token_keys=SecretStr("1:" + "A" * 43),
        pepper=SecretStr(base64.urlsafe_b64encode(b"p" * 32).decode()),
        operator_key_hash=SecretStr(hashlib.sha256(b"boss").hexdigest()),
        rate_limit=3,
        rate_window=6,
        rate_loopback_free=loopback_free,
    )
    keyring = KeyRing(Owner(), FakeClock())
    await keyring.pull()
    app = create_app(
        "house", [router], shared=shared, keyring=keyring, metrics=Metrics(), ready={}, state=object()
    )
    app.state.limits = RateLimits(shared.rate_limit, shared.rate_window, clock.boot)
    http = {
        peer: httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(peer, 1)), base_url="http://house")
        for peer in PEERS
    }
    yield Stage(http, clock)
    for one in http.values():
        await one.aclose()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async for found in staged(loopback_free=False):
        yield found


@pytest.fixture
async def machine() -> AsyncIterator[Stage]:
    async for found in staged(loopback_free=True):
        yield found


async def test_every_answer_says_what_is_left_and_one_too_many_is_refused(stage: Stage) -> None:
    told = [await stage.ask("/v1/lists") for _ in range(4)]
    assert [one.status_code for one in told] == [200, 200, 200, 429]
    assert [one.headers["ratelimit"] for one in told] == [
        '"key";r=2;t=2',
        '"key";r=1;t=4',
        '"key";r=0;t=2',
        '"key";r=0;t=2',
    ]
    assert {one.headers["ratelimit-policy"] for one in told} == {'"key";q=3;w=6'}
    refused = told[3]
    assert refused.headers["retry-after"] == "2"
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "rate.limited"
    stage.clock.pass_time(2)
    assert (await stage.ask("/v1/lists")).status_code == 200
    assert (await stage.ask("/v1/lists")).status_code == 429


async def test_keys_and_the_operator_have_each_their_own(stage: Stage) -> None:
    for _ in range(4):
        await stage.ask("/v1/lists")
    assert (await stage.ask("/v1/lists", "key 2")).status_code == 200
    told = await stage.ask("/v1/accounts", "boss")
    assert (told.status_code, told.headers["ratelimit"]) == (200, '"key";r=2;t=2')
    unknown = await stage.ask("/v1/lists", "key 3")
    assert unknown.status_code == 401
    assert "ratelimit" not in unknown.headers


async def test_a_no_is_neither_refused_nor_counted(stage: Stage) -> None:
    for _ in range(10):
        told = await stage.ask("/v1/suppressions", method="POST")
        assert (told.status_code, told.headers["ratelimit"]) == (200, '"key";r=3;t=0')
    for _ in range(4):
        await stage.ask("/v1/lists")
    assert (await stage.ask("/v1/suppressions", method="POST")).status_code == 200


@pytest.mark.parametrize("peer", PEERS[1:])
async def test_who_is_on_this_machine_is_let_through_where_it_is_told_so(
    machine: Stage, stage: Stage, peer: str
) -> None:
    for _ in range(10):
        told = await machine.ask("/v1/lists", peer=peer, x_forwarded_for="127.0.0.1")
        assert (told.status_code, told.headers["ratelimit"]) == (200, '"key";r=3;t=0')
    # The front door says that its client is elsewhere; and who comes from elsewhere may say what it likes.
    for forwarded, asked in (
        ("203.0.113.9", peer),
        ("127.0.0.1, 203.0.113.9", peer),
        ("127.0.0.1", PEERS[0]),
    ):
        machine.clock.pass_time(6)
        told_ = [await machine.ask("/v1/lists", peer=asked, x_forwarded_for=forwarded) for _ in range(4)]
        assert [one.status_code for one in told_] == [200, 200, 200, 429], forwarded
    assert [(await stage.ask("/v1/lists", peer=peer)).status_code for _ in range(4)][-1] == 429


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 3)), max_size=60))
def test_no_key_makes_more_than_its_bucket_and_what_time_gave_it(asked: list[tuple[float, int]]) -> None:
    now = 0.0
    limits = RateLimits(4, 8, lambda: now)
    made: dict[int, int] = {}
    for pause, number in asked:
        now += pause
        if not limits.take(UUID(int=number)).refused:
            made[number] = made.get(number, 0) + 1
        assert made.get(number, 0) <= 4 + now * 4 / 8 + 1e-6


def test_the_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MOST_KEYS", 10)
    limits = RateLimits(2, 60, lambda: 0.0)
    for number in range(1000):
        limits.take(UUID(int=number))
        limits.take(UUID(int=0))
    assert len(limits._buckets) == 10
    # Who is there all the time is never forgotten.
    assert limits.take(UUID(int=0)).refused
