"""common.testing.sink: the ledger sink: an SMTP receiver that writes down what it sees before it answers 250.

It is the oracle of every promise about sending, so it shares no code with the sender. One fsync serves all
the transactions that wait for one. Run it: `python -m mailmaker.common.testing.sink --dir DIR --port N`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from mailmaker.common.testing.book import Book, Keep
from mailmaker.common.testing.ledger import Seen

GREETING = b"220 sink.mailmaker.test ESMTP ledger sink\r\n"
EHLO = b"250-sink.mailmaker.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 52428800\r\n"
_LONGEST_COMMAND = 4096
_HEAD = 16384
_FIELD = re.compile(rb"(?im)^(message-id|x-mailmaker-token):[ \t]*(?:\r\n[ \t]+)?([^\r\n]*)")
_STUFFED = re.compile(rb"(\A|\r\n)\.")
_PATH = re.compile(rb"<([^>]*)>")

RcptRule = Callable[[str], bytes | None]
"""A scripted answer to RCPT TO: a whole reply line to refuse with, or None to accept."""


class Sink:
    """The server. `listen` answers on `port`; `close` answers what is waiting, then leaves."""

    def __init__(self, directory: Path, keep: Keep = Keep(), refuse: RcptRule | None = None) -> None:  # noqa: B008
        self._directory = directory
        self.refuse = refuse
        self.book = Book(directory, keep)
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writer: asyncio.Task[None] | None = None

    async def listen(self, port: int = 0, host: str = "127.0.0.1") -> int:
        loop = asyncio.get_running_loop()
        self._writer = asyncio.create_task(self.book.run())
        self._server = await loop.create_server(lambda: _Conversation(self), host, port, backlog=512)
        self.port = int(self._server.sockets[0].getsockname()[1])
        (self._directory / "sink.json").write_text(json.dumps({"port": self.port, "pid": os.getpid()}))
        return self.port

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.book.close()
        if self._writer is not None:
            await asyncio.wait_for(self._writer, 30)


@dataclass(slots=True)
class _Envelope:
    mail_from: str
    recipients: list[str] = field(default_factory=list)


class _Conversation(asyncio.Protocol):
    """One connection. Commands may be pipelined; nothing behind a dot is read before the ledger holds it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._searched = 0
        self._envelope: _Envelope | None = None
        self._begun: tuple[int, int] | None = None
        self._held = False
        sink.connections += 1
        self._id = sink.connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._peer = str(transport.get_extra_info("peername")[0])
        self._transport.write(GREETING)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._go_on()

    def _go_on(self) -> None:
        # What was pipelined behind a message waits with it for the disk: answers keep their order.
        while not self._held and (self._message() if self._begun else self._command()):
            pass

    def _kept(self) -> None:
        self._held = False
        if not self._transport.is_closing():
            self._transport.write(b"250 2.0.0 kept\r\n")
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._begun is not None:
            self._record(b"", ended=None)

    def _command(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > _LONGEST_COMMAND:
                self._transport.abort()
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        answer = self._answer(line[:4].upper(), line)
        self._transport.write(answer)
        if answer[:3] == b"221":
            self._transport.close()
            return False
        return True

    def _answer(self, verb: bytes, line: bytes) -> bytes:
        if verb == b"MAIL":
            self._envelope = _Envelope(_path(line))
            return b"250 2.1.0 ok\r\n"
        if verb == b"RCPT":
            if self._envelope is None:
                return b"503 5.5.1 MAIL first\r\n"
            recipient = _path(line)
            refusal = self._sink.refuse(recipient) if self._sink.refuse is not None else None
            if refusal is not None:
                return refusal
            self._envelope.recipients.append(recipient)
            return b"250 2.1.5 ok\r\n"
        if verb == b"DATA":
            if self._envelope is None or not self._envelope.recipients:
                return b"503 5.5.1 RCPT first\r\n"
            self._begun = time.monotonic_ns(), time.time_ns()
            self._searched = 0
            return b"354 go on\r\n"
        if verb == b"EHLO":
            return EHLO
        if verb == b"QUIT":
            return b"221 2.0.0 bye\r\n"
        if verb in (b"RSET", b"NOOP", b"HELO"):
            self._envelope = None if verb == b"RSET" else self._envelope
            return b"250 2.0.0 ok\r\n"
        return b"500 5.5.1 unknown command\r\n"

    def _message(self) -> bool:
        # The dot may stand first, straight after the DATA line; otherwise it needs the CRLF before it.
        if self._searched == 0 and self._buffer.startswith(b".\r\n"):
            size, taken = 0, 3
        else:
            found = self._buffer.find(b"\r\n.\r\n", max(0, self._searched - 4))
            if found < 0:
                self._searched = len(self._buffer)
                return False
            size, taken = found + 2, found + 5
        ended = time.monotonic_ns(), time.time_ns()
        body = bytes(self._buffer[:size])
        del self._buffer[:taken]
        if body.startswith(b".") or b"\r\n." in body:
            body = _STUFFED.sub(rb"\1", body)
        self._record(body, ended)
        return True

    def _record(self, body: bytes, ended: tuple[int, int] | None) -> None:
        begun, envelope = self._begun, self._envelope
        assert begun is not None
        assert envelope is not None
        book = self._sink.book
        book.number += 1
        fields = _fields(body)
        seen = Seen(
            number=book.number,
            connection=self._id,
            begun_monotonic=begun[0],
            begun_utc=begun[1],
            ended_monotonic=ended[0] if ended else None,
            ended_utc=ended[1] if ended else None,
            mail_from=envelope.mail_from,
            recipients=tuple(envelope.recipients),
            message_id=_text(fields.get(b"message-id", b"")),
            token=_text(fields.get(b"x-mailmaker-token", b"")),
            sha256=hashlib.sha256(body).hexdigest() if ended else "",
            size=len(body),
            offset=None,
            peer=self._peer,
        )
        book.add(seen, body if ended and book.keeps_next() else None, self._kept if ended else None)
        self._held = ended is not None
        self._begun = self._envelope = None


def _path(line: bytes) -> str:
    found = _PATH.search(line)
    return found.group(1).decode("utf-8", "surrogateescape") if found else ""


def _fields(message: bytes) -> dict[bytes, bytes]:
    end = message.find(b"\r\n\r\n", 0, _HEAD)
    found: dict[bytes, bytes] = {}
    for name, value in _FIELD.findall(message, 0, end + 2 if end >= 0 else _HEAD):
        found.setdefault(name.lower(), value)
    return found


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").strip()


async def serve(directory: Path, port: int, keep: Keep) -> None:
    """Runs until SIGTERM or SIGINT; says the port on standard output when it answers."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sink = Sink(directory, keep)
    print(f"sink 127.0.0.1:{await sink.listen(port)}", flush=True)
    await stop.wait()
    await sink.close()


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m mailmaker.common.testing.sink")
    options.add_argument("--dir", type=Path, required=True)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--keep-bytes", type=Keep.from_text, default=Keep(), metavar="all|sample:N")
    told = options.parse_args()
    import uvloop

    uvloop.run(serve(told.dir, told.port, told.keep_bytes))


if __name__ == "__main__":
    main()
