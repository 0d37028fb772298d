"""embedded.frontdoor: one address for all houses, streaming both ways, adding nothing."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
import uvicorn
from mailmaker.common.embedded.frontdoor import FrontDoor, Routes
from mailmaker.common.embedded.ports import free_port
from mailmaker.common.testing.processes import until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


class Peer:
    """A house made for the test; `gate` lets a test hold what it streams."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.first_piece = asyncio.Event()

    async def echo(self, request: Request) -> Response:
        body = await request.body()
        return JSONResponse(
            {
                "method": request.method,
                "target": str(request.url.path) + "?" + request.url.query,
                "headers": [[name.decode(), value.decode()] for name, value in request.headers.raw],
                "body": body.decode("latin-1"),
            },
            headers={"x-of-house": "yes", "connection": "keep-alive, x-hop", "x-hop": "1"},
        )

    async def count(self, request: Request) -> Response:
        size = 0
        async for piece in request.stream():
            self.first_piece.set()
            size += len(piece)
        return JSONResponse({"size": size})

    async def drip(self, request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"first\n"
            await self.gate.wait()
            yield b"last\n"

        return StreamingResponse(pieces(), media_type="text/plain")

    async def refuse(self, request: Request) -> Response:
        return JSONResponse({"code": "too_large"}, 413)

    async def nothing(self, request: Request) -> Response:
        return Response(status_code=204)

    async def large(self, request: Request) -> Response:
        return Response(b"x" * 3_000_000)

    def app(self) -> Starlette:
        every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        doors = [self.echo, self.count, self.drip, self.refuse, self.nothing, self.large]
        return Starlette(routes=[Route(f"/v1/{door.__name__}", door, methods=every) for door in doors])


@pytest.fixture
async def house() -> AsyncIterator[tuple[Peer, int]]:
    peer = Peer()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(peer.app(), log_config=None, lifespan="off", timeout_graceful_shutdown=2)
    )
    serving = asyncio.create_task(server._serve([listener]))
    await until(lambda: server.started, "the house serves")
    yield peer, listener.getsockname()[1]
    peer.gate.set()
    server.should_exit = True
    await serving
    listener.close()


@pytest.fixture
async def door(house: tuple[Peer, int]) -> AsyncIterator[tuple[FrontDoor, str]]:
    missing: dict[str, str] = {}

    async def ready() -> Mapping[str, str]:
        return missing

    routes = Routes({"here": ["/v1", "/u/"], "away": ["/v1/away"]})
    front = FrontDoor(
        routes, {"here": [("127.0.0.1", house[1])], "away": [("127.0.0.1", free_port())]}, ready
    )
    port = free_port()
    await front.open("127.0.0.1", port)
    yield front, f"http://127.0.0.1:{port}"
    await front.close()


@pytest.fixture
async def client(door: tuple[FrontDoor, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=door[1], timeout=20, trust_env=False) as client:
        yield client


async def raw(base_url: str, request: bytes) -> bytes:
    """Sends bytes as they are and reads to the end."""
    host, _, port = base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def told(client: httpx.AsyncClient, *args: Any, **kwargs: Any) -> dict[str, Any]:
    answer = await client.request(*args, **kwargs)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


async def test_request_and_answer_pass_unchanged_but_for_the_hop(client: httpx.AsyncClient) -> None:
    answer = await client.put(
        "/v1/echo?a=1&b=%2F",
        content=b"body",
        headers={
            "Host": "click.example.org",
            "X-Own": "1",
            "Connection": "X-Hop",
            "X-Hop": "1",
            "X-Forwarded-For": "6.6.6.6",
        },
    )
    seen = answer.json()
    headers = dict(seen["headers"])
    assert (seen["method"], seen["target"], seen["body"]) == ("PUT", "/v1/echo?a=1&b=%2F", "body")
    assert headers["host"] == "click.example.org"
    assert headers["x-own"] == "1"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert "x-hop" not in headers
    assert answer.headers["x-of-house"] == "yes"
    assert "x-hop" not in answer.headers


async def test_longest_prefix_wins_and_internal_is_nobodys(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/awayish")).status_code == 404
    for path in ("/internal/keys", "/internal", "/elsewhere", "/v10/echo", "/"):
        answer = await client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_found"


def test_routes_end_at_a_segment() -> None:
    routes = Routes({"contacts": ["/v1/lists", "/f/"], "dispatch": ["/v1/messages", "/c"]})
    assert routes.house(b"/v1/lists:count?x=/v1/messages") == "contacts"
    assert routes.house(b"http://any.host:80/v1/lists/1") == "contacts"
    assert routes.house(b"/f/abc") == "contacts"
    assert routes.house(b"/v1/listsx") is None
    assert routes.house(b"*") is None


async def test_house_that_is_down_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/away/x", content=b"y" * 100_000)
    assert answer.status_code == 503
    assert answer.json()["code"] == "house_down"
    assert answer.headers["retry-after"] == "1"


async def test_uploads_stream(client: httpx.AsyncClient, house: tuple[Peer, int]) -> None:
    peer = house[0]

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a" * 70_000
        await asyncio.wait_for(peer.first_piece.wait(), 10)
        for _ in range(100):
            yield b"b" * 70_000

    assert await told(client, "POST", "/v1/count", content=pieces()) == {"size": 101 * 70_000}
    with_length = {"content-length": str(8_000_000)}
    assert await told(client, "POST", "/v1/count", content=b"c" * 8_000_000, headers=with_length) == {
        "size": 8_000_000
    }


async def test_answers_stream(client: httpx.AsyncClient, house: tuple[Peer, int]) -> None:
    async with client.stream("GET", "/v1/drip") as answer:
        pieces = answer.aiter_raw()
        assert await anext(pieces) == b"first\n"
        house[0].gate.set()
        assert await anext(pieces) == b"last\n"
    assert len((await client.get("/v1/large")).content) == 3_000_000


async def test_answer_before_the_upload_ended_reaches_the_client(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/refuse", content=b"z" * 5_000_000)
    assert answer.status_code == 413
    assert (await client.get("/v1/nothing")).status_code == 204


async def test_head_and_empty_answers_have_no_body(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        assert (await client.request("HEAD", "/v1/large")).headers["content-length"] == "3000000"
        assert (await client.get("/v1/nothing")).content == b""


async def test_many_at_once_on_few_lines(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(told(client, "POST", "/v1/echo", content=str(n).encode()) for n in range(300))
    )
    assert [answer["body"] for answer in answers] == [str(n) for n in range(300)]


async def test_pipelined_requests_are_answered_in_order(door: tuple[FrontDoor, str]) -> None:
    ask = b"POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n%d"
    answer = await raw(
        door[1], ask % 1 + ask % 2 + b"GET /v1/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert [
        json.loads(part.partition(b"\r\n\r\n")[2])["body"] for part in answer.split(b"HTTP/1.1 200 OK")[1:2]
    ] == ["1"]
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.endswith(b"connection: close\r\n\r\n")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1/echo HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused(door: tuple[FrontDoor, str], request_bytes: bytes) -> None:
    assert (await raw(door[1], request_bytes)).startswith(b"HTTP/1.1 400 ")


async def test_client_asking_first_is_told_to_go_on(door: tuple[FrontDoor, str]) -> None:
    host, _, port = door[1].removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = b"POST /v1/count HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
    try:
        writer.write(head)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert (await reader.read()).endswith(b'{"size":4}')
    finally:
        writer.close()


async def test_old_client_gets_an_answer_that_ends_with_the_connection(
    door: tuple[FrontDoor, str], house: tuple[Peer, int]
) -> None:
    house[0].gate.set()
    answer = await raw(door[1], b"GET /v1/drip HTTP/1.0\r\nHost: a\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nfirst\nlast\n")


async def test_wish_for_another_protocol_is_ignored(door: tuple[FrontDoor, str]) -> None:
    wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n"
    ask = b"GET /v1/nothing HTTP/1.1\r\nHost: a\r\n"
    answer = await raw(
        door[1], ask + wish + b"GET /v1/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert answer.count(b"HTTP/1.1 204") == 2


async def test_house_that_breaks_off_is_a_problem(house: tuple[Peer, int]) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def ready() -> Mapping[str, str]:
        return {"here": "not yet"}

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    front = FrontDoor(Routes({"here": ["/v1"]}), {"here": [server.sockets[0].getsockname()[:2]]}, ready)
    port = free_port()
    await front.open("127.0.0.1", port)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        answer = await client.get("/v1/x")
        assert (answer.status_code, answer.json()["code"]) == (502, "house_broke_off")
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/readyz")).json() == {"ready": False, "missing": {"here": "not yet"}}
        assert (await client.get("/livez")).status_code == 200
    await front.close()
    server.close()
