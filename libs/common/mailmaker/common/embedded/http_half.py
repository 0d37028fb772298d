"""common.embedded.http_half: one direction of an HTTP/1.1 connection, read as heads, pieces of body and ends."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import httptools

_CHUNK = 64 * 1024
_LARGEST_HEAD = 64 * 1024
# RFC 9110 section 7.6.1: what belongs to one hop. `Expect` is answered by us, who read the body in any case.
_OF_ONE_HOP = {
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
    b"trailer", b"transfer-encoding", b"upgrade", b"expect", b"http2-settings",
}  # fmt: skip


class Malformed(Exception):
    """The peer does not speak HTTP, or a head is larger than 64 KiB."""


class End:
    """The message is complete."""


@dataclass
class Head:
    """A request's or an answer's head. `method` and `target` are of requests, `status` of answers."""

    method: bytes = b""
    target: bytes = b""
    status: int = 0
    version: str = "1.1"
    keep_alive: bool = True
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)

    def value(self, name: bytes) -> bytes | None:
        return next((value for given, value in self.fields if given == name), None)

    @property
    def chunked(self) -> bool:
        return self.value(b"transfer-encoding") is not None

    @property
    def has_length(self) -> bool:
        return self.value(b"content-length") is not None

    def passed_on(self, *without: bytes) -> list[tuple[bytes, bytes]]:
        """The fields that the next hop shall see."""
        named = {
            token.strip().lower()
            for name, value in self.fields
            if name == b"connection"
            for token in value.split(b",")
        }
        dropped = _OF_ONE_HOP | named | set(without)
        return [(name, value) for name, value in self.fields if name not in dropped]


class Half:
    """Reads messages one after another, as fast as they are taken: what is not taken stays in the peer's socket."""

    def __init__(self, reader: asyncio.StreamReader, *, requests: bool) -> None:
        self._reader = reader
        self._requests = requests
        self._events: deque[Head | bytes | End] = deque()
        self._head = Head()
        self._unread = 0
        self._head_size = 0
        self._open_ended = False
        self._parser = self._fresh()

    def _fresh(self) -> Any:
        return (httptools.HttpRequestParser if self._requests else httptools.HttpResponseParser)(self)

    @property
    def ended(self) -> bool:
        """The peer has closed, or has sent what nobody asked for: nothing more can be asked of it."""
        return self._reader.at_eof() or bool(self._events)

    async def next(self) -> Head | bytes | End:
        """The next head, piece of body or end. Raises EOFError when the peer closed, Malformed."""
        while not self._events:
            data = await self._reader.read(_CHUNK)
            if not data:
                if not self._open_ended:
                    raise EOFError
                self._open_ended = False
                return End()
            self._feed(data)
        return self._events.popleft()

    async def rest(self) -> None:
        """Reads what remains of the message, into nothing."""
        while not isinstance(await self.next(), End):
            pass

    async def head(self) -> Head:
        found = await self.next()
        if not isinstance(found, Head):
            raise Malformed("a body where a head was due")
        return found

    def _feed(self, data: bytes) -> None:
        # A field is told when it is whole; one that never ends must not fill the memory.
        self._unread += len(data)
        if self._unread > 2 * _LARGEST_HEAD:
            raise Malformed("the head is larger than 64 KiB")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Nobody behind us speaks another protocol; RFC 9110 section 7.8 lets a server ignore the wish.
            self._parser = self._fresh()
            rest = data[upgrade.args[0] :]
            if rest:
                self._feed(rest)
        except httptools.HttpParserError as wrong:
            raise Malformed(str(wrong)) from wrong

    # What httptools calls.

    def on_message_begin(self) -> None:
        self._head, self._head_size = Head(), 0

    def on_url(self, url: bytes) -> None:
        self._head.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._unread = 0
        self._head_size += len(name) + len(value)
        if self._head_size > _LARGEST_HEAD:
            raise Malformed("the head is larger than 64 KiB")
        self._head.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        head = self._head
        head.version = self._parser.get_http_version()
        head.keep_alive = self._parser.should_keep_alive()
        if self._requests:
            head.method = self._parser.get_method()
        else:
            head.status = self._parser.get_status_code()
            bodiless = head.status < 200 or head.status in (204, 304)
            self._open_ended = not (bodiless or head.chunked or head.has_length)
        self._events.append(head)

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        self._events.append(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        self._open_ended = False
        self._events.append(End())
