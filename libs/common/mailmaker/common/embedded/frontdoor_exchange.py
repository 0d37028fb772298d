"""common.embedded.frontdoor_exchange: one request passed to a house and its answer passed back, both as they come."""

from __future__ import annotations

import asyncio
import contextlib
import http
from dataclasses import dataclass

from mailmaker.common.embedded.http_half import End, Half, Head, Malformed

IDLE = 120.0
"""The longest silence of both sides within one exchange."""
_HEAR_OUT = 10.0


class HouseBroke(Exception):
    """The house closed the connection before it had answered."""


@dataclass
class Line:
    """A connection, to a client or to a house."""

    half: Half
    writer: asyncio.StreamWriter

    def abort(self) -> None:
        self.writer.transport.abort()


class Exchange:
    """One request and its answer. After `run`: may the client's and the house's connections be used again?"""

    def __init__(self, client: Line, house: Line, request: Head, peer: str) -> None:
        self._client = client
        self._house = house
        self._request = request
        self._peer = peer
        self._silence: asyncio.Timeout | None = None
        self.answered = False
        self.client_again = False
        self.house_again = False

    async def run(self) -> None:
        """Raises HouseBroke, TimeoutError, or ConnectionError when the client has gone."""
        async with asyncio.timeout(IDLE) as self._silence:
            upload = asyncio.create_task(self._upload())
            try:
                await self._download()
                whole = upload.done() and not upload.cancelled() and upload.exception() is None
                self.house_again = self.house_again and whole
            finally:
                upload.cancel()
                await asyncio.gather(upload, return_exceptions=True)
            if not whole:
                self.client_again = await hear_out(self._client, self._request) and self.client_again

    def _alive(self) -> None:
        assert self._silence is not None
        self._silence.reschedule(asyncio.get_running_loop().time() + IDLE)

    async def _upload(self) -> None:
        request, house = self._request, self._house.writer
        fields = request.passed_on(b"x-forwarded-for", b"x-forwarded-proto")
        fields += [(b"x-forwarded-for", self._peer.encode()), (b"x-forwarded-proto", b"http")]
        if request.chunked:
            fields.append((b"transfer-encoding", b"chunked"))
        if (request.value(b"expect") or b"").lower() == b"100-continue":
            self._client.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        house.write(b"%s %s HTTP/1.1\r\n" % (request.method, request.target) + _lines(fields))
        try:
            await self._copy(self._client.half, house, chunked=request.chunked)
        except (EOFError, Malformed):
            # The client has gone in mid-request: the house must not take the piece for the whole.
            self._house.abort()
            raise

    async def _download(self) -> None:
        house, client = self._house.half, self._client.writer
        try:
            answer = await house.head()
            while answer.status < 200:
                await house.next()
                answer = await house.head()
        except (EOFError, OSError, Malformed) as wrong:
            raise HouseBroke from wrong
        self._alive()
        bodiless = self._request.method == b"HEAD" or answer.status in (204, 304)
        fields = answer.passed_on()
        chunked = not bodiless and not answer.has_length and self._request.version == "1.1"
        open_ended = not bodiless and not answer.has_length and not chunked
        if chunked:
            fields.append((b"transfer-encoding", b"chunked"))
        self.client_again = self._request.keep_alive and not open_ended
        if not self.client_again:
            fields.append((b"connection", b"close"))
        self.answered = True
        client.write(b"HTTP/1.1 %d %s\r\n" % (answer.status, _reason(answer.status)) + _lines(fields))
        if self._request.method == b"HEAD":
            # The parser waits for the body that a GET would have had.
            await client.drain()
            return
        try:
            await self._copy(house, client, chunked=chunked)
        except (EOFError, Malformed):
            self._client.abort()
            raise ConnectionAbortedError("the house broke off in mid-answer") from None
        self.house_again = answer.keep_alive

    async def _copy(self, source: Half, target: asyncio.StreamWriter, *, chunked: bool) -> None:
        while not isinstance(piece := await source.next(), End):
            assert isinstance(piece, bytes)
            target.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            await target.drain()
            self._alive()
        if chunked:
            target.write(b"0\r\n\r\n")
        await target.drain()


async def hear_out(client: Line, request: Head) -> bool:
    """Reads what a client is still sending of a request that has its answer already; True if it came to the end.

    Who closes on a client that is sending makes its kernel throw the answer away.
    """
    if request.value(b"expect") is not None:
        return False  # it may never send what it asked us about
    with contextlib.suppress(EOFError, OSError, Malformed, TimeoutError):
        async with asyncio.timeout(_HEAR_OUT):
            await client.half.rest()
            return True
    return False


def _lines(fields: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%s: %s\r\n" % pair for pair in fields) + b"\r\n"


def _reason(status: int) -> bytes:
    with contextlib.suppress(ValueError):
        return http.HTTPStatus(status).phrase.encode()
    return b"-"


def whole_answer(status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    """An answer of our own."""
    fields = [*fields, (b"content-length", str(len(body)).encode())]
    return b"HTTP/1.1 %d %s\r\n" % (status, _reason(status)) + _lines(fields) + body
