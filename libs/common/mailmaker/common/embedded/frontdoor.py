"""common.embedded.frontdoor: one address for all houses: a streaming reverse proxy that keeps Host and adds no logic."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from mailmaker.common.embedded.frontdoor_exchange import Exchange, HouseBroke, Line, hear_out, whole_answer
from mailmaker.common.embedded.http_half import Half, Head, Malformed
from mailmaker.common.web.problem import MEDIA_TYPE, NotFound, Problem, Unavailable

_BUFFER = 256 * 1024
_KEEP_ALIVE = 75.0
# Below the 75 s after which a house closes an idle connection: it must never do so while we are choosing it.
_POOLED_FOR = 30.0
# A house that died is back within 2 s; its callers wait for it rather than be refused.
_PATIENCE = 3.0
_MOST_CLIENTS = 4000

Address = tuple[str, int]
Ready = Callable[[], Awaitable[Mapping[str, str]]]
"""What is missing until everything is ready, by house; empty when nothing is."""


class HouseDown(Unavailable):
    """No process of the house accepts connections."""

    code = "house_down"


class HouseBrokeOff(Problem):
    """The house closed the connection without an answer: whether it did what was asked is not known."""

    code = "house_broke_off"
    status = 502
    title = "The service ended before it answered"
    temporary = True


class HouseSilent(Problem):
    """The house took the request and says nothing."""

    code = "house_silent"
    status = 504
    title = "The service does not answer in time"
    temporary = True


class BadRequest(Problem):
    """Not HTTP/1.1."""

    code = "bad_request"
    status = 400
    title = "This is not HTTP/1.1"


class Routes:
    """Path prefixes, as the houses declare them, to houses. The longest wins; /internal is nobody's."""

    def __init__(self, paths: Mapping[str, Sequence[str]]) -> None:
        declared = [(prefix.rstrip("/"), house) for house, prefixes in paths.items() for prefix in prefixes]
        self._declared = sorted(declared, key=lambda pair: -len(pair[0]))

    def house(self, target: bytes) -> str | None:
        path = _path(target)
        if path.startswith("/internal"):
            return None
        for prefix, house in self._declared:
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/", ":"):
                return house
        return None


class FrontDoor:
    """The proxy. `lines` says where the processes of each house listen."""

    def __init__(self, routes: Routes, lines: Mapping[str, Sequence[Address]], ready: Ready) -> None:
        self._routes = routes
        self._turns: dict[str, Iterator[Address]] = {
            name: itertools.cycle(where) for name, where in lines.items()
        }
        self._widths = {name: len(where) for name, where in lines.items()}
        self._idle: dict[Address, list[tuple[float, Line]]] = {}
        self._ready = ready
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> None:
        self._server = await asyncio.start_server(self._client, host, port, limit=_BUFFER, backlog=1024)

    async def close(self, patience: float = 5.0) -> None:
        """Takes no more clients, lets what is being answered end, hangs up."""
        if self._server is None:
            return
        self._server.close()
        if self._clients:
            await asyncio.wait(self._clients, timeout=patience)
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for _, line in itertools.chain.from_iterable(self._idle.values()):
            line.abort()
        self._idle.clear()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) > _MOST_CLIENTS:
                writer.write(_problem(Unavailable("too many connections"), close=True))
                return
            await self._converse(Line(Half(reader, requests=True), writer))
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError):
            pass  # the client has gone, or we are going
        finally:
            self._clients.discard(task)
            with contextlib.suppress(OSError, RuntimeError):
                writer.close()

    async def _converse(self, client: Line) -> None:
        while self._server is not None and self._server.is_serving():
            try:
                request = await asyncio.wait_for(client.half.head(), _KEEP_ALIVE)
            except Malformed as wrong:
                client.writer.write(_problem(BadRequest(str(wrong)), close=True))
                return
            if not await self._one(client, request):
                return

    async def _one(self, client: Line, request: Head) -> bool:
        """Answers one request; True if another may follow on the connection."""
        if _path(request.target) in ("/readyz", "/livez"):
            return await self._answer(client, request, await self._health(request))
        house = self._routes.house(request.target)
        if house is None:
            return await self._answer(client, request, _problem(NotFound("there is nothing at this path")))
        try:
            address, line = await self._line(house)
        except OSError:
            down = HouseDown(f"{house} is not running at the moment", headers={"Retry-After": "1"})
            return await self._answer(client, request, _problem(down))
        peer = client.writer.get_extra_info("peername")
        exchange = Exchange(client, line, request, peer[0] if peer else "")
        try:
            await exchange.run()
        except (HouseBroke, TimeoutError) as wrong:
            if not exchange.answered:
                kind = HouseBrokeOff if isinstance(wrong, HouseBroke) else HouseSilent
                client.writer.write(_problem(kind(f"{house} did not answer"), close=True))
            return False
        finally:
            if exchange.house_again:
                self._idle.setdefault(address, []).append((asyncio.get_running_loop().time(), line))
            else:
                line.abort()
        return exchange.client_again

    async def _line(self, house: str) -> tuple[Address, Line]:
        """A connection to a process of the house, the processes in turn."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            for _ in range(self._widths.get(house, 0)):
                address = next(self._turns[house])
                line = self._pooled(address)
                if line is not None:
                    return address, line
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_PATIENCE):
                        reader, writer = await asyncio.open_connection(*address, limit=_BUFFER)
                    return address, Line(Half(reader, requests=False), writer)
            if asyncio.get_running_loop().time() > deadline:
                raise ConnectionRefusedError(house)
            await asyncio.sleep(0.05)

    def _pooled(self, address: Address) -> Line | None:
        idle = self._idle.get(address, [])
        while idle:
            since, line = idle.pop()
            if asyncio.get_running_loop().time() - since < _POOLED_FOR and not line.half.ended:
                return line
            line.abort()
        return None

    async def _answer(self, client: Line, request: Head, answer: bytes) -> bool:
        if request.method == b"HEAD":
            answer = answer[: answer.index(b"\r\n\r\n") + 4]
        client.writer.write(answer)
        await client.writer.drain()
        return await hear_out(client, request) and request.keep_alive

    async def _health(self, request: Head) -> bytes:
        missing = dict(await self._ready()) if _path(request.target) == "/readyz" else {}
        body = json.dumps({"ready": not missing, "missing": missing}).encode()
        return whole_answer(503 if missing else 200, [(b"content-type", b"application/json")], body)


def _path(target: bytes) -> str:
    """The path of a request's target, also of one in absolute form (RFC 9112 section 3.2.2)."""
    text = target.decode("latin-1")
    if not text.startswith("/"):
        text = "/" + text.partition("://")[2].partition("/")[2]
    return text.partition("?")[0].partition("#")[0]


def _problem(problem: Problem, *, close: bool = False) -> bytes:
    fields = [(b"content-type", MEDIA_TYPE.encode())]
    fields += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    if close:
        fields.append((b"connection", b"close"))
    return whole_answer(problem.status, fields, problem.body().model_dump_json().encode())
