"""common.web.internal: one house asking another, over internal HTTP with a service token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx
from mailmaker.common.web.problem import Unavailable
from pydantic import BaseModel, SecretStr

TIMEOUT = 5.0
Model = TypeVar("Model", bound=BaseModel)
Query = Mapping[str, str | int | float | list[str]]


class Unreachable(Unavailable):
    """The other house does not answer, or answers that it cannot now."""

    code = "house_unreachable"


class Refused(Exception):
    """The other house understood and said no: a fault of ours, not a passing one."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:300]}")
        self.status = status


class InternalClient:
    """Calls to one house. A resource: open before use. Every call has a timeout; none is retried here."""

    def __init__(
        self, base_url: str, token: SecretStr, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._base_url = base_url
        self._token = token
        self._transport = transport
        self._http: httpx.AsyncClient | None = None

    async def open(self) -> None:
        self._http = httpx.AsyncClient(
            base_url=self._base_url,
            headers={"Authorization": f"Bearer {self._token.get_secret_value()}"},
            timeout=TIMEOUT,
            limits=httpx.Limits(max_connections=50, max_keepalive_connections=20),
            transport=self._transport,
            trust_env=False,
        )

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def get(
        self, path: str, model: type[Model], query: Query | None = None, *, timeout: float = TIMEOUT
    ) -> Model | None:
        """The answer, or None for 404. Raises Unreachable for silence and 5xx, Refused for other 4xx."""
        answer = await self._send("GET", path, query=query, timeout=timeout)
        return None if answer.status_code == 404 else model.model_validate_json(answer.content)

    async def post(self, path: str, body: BaseModel, *, timeout: float = TIMEOUT) -> bytes:
        """The answer's bytes. Raises Unreachable or Refused (404 too)."""
        answer = await self._send("POST", path, content=body.model_dump_json().encode(), timeout=timeout)
        if answer.status_code == 404:
            raise Refused(404, answer.text)
        return answer.content

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query | None = None, *, content: bytes | None = None, idle: float = 60.0
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The answer to a GET, or to a POST of `content`, as chunks of bytes; `idle` is the longest silence between two.
        Raises Unreachable when it breaks."""
        method = "GET" if content is None else "POST"
        try:
            async with self._client().stream(
                method, path, params=dict(query or {}), content=content, timeout=idle
            ) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    _refuse(answer)
                    raise Refused(answer.status_code, answer.text)
                yield answer.aiter_bytes()
        except (httpx.TransportError, httpx.StreamError) as wrong:
            raise Unreachable("the stream from another house broke") from wrong

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        content: bytes | None = None,
        timeout: float,
    ) -> httpx.Response:
        headers = {"content-type": "application/json"} if content is not None else {}
        # A request cancelled in its middle keeps its place in httpx's pool for ever; fifty of them, and this house
        # never reaches the other again. Who asks may be cancelled; the request itself ends by its own timeout.
        asked = asyncio.ensure_future(
            self._client().request(
                method, path, params=dict(query or {}), content=content, headers=headers, timeout=timeout
            )
        )
        asked.add_done_callback(_heard)
        try:
            answer = await asyncio.shield(asked)
        except httpx.TransportError as wrong:
            raise Unreachable("another house does not answer") from wrong
        _refuse(answer)
        return answer

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            raise Unreachable("the client is closed")
        return self._http


def _heard(asked: asyncio.Future[httpx.Response]) -> None:
    """Nobody may be left to hear how it ended; then its error is nobody's."""
    if not asked.cancelled():
        asked.exception()


def _refuse(answer: httpx.Response) -> None:
    if answer.status_code >= 500 or answer.status_code == 429:
        raise Unreachable(f"another house answered {answer.status_code}")
    if answer.status_code >= 400 and answer.status_code != 404:
        raise Refused(answer.status_code, answer.text)
