"""A small SMTP server that does what a script says: refuses, defers, hangs up, answers one command at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

OK = b"250 2.0.0 ok"
Answers = dict[str, list[bytes | None]]


@dataclass
class Seen:
    mail_from: str
    rcpt: str
    data: bytes
    peer: str = ""


@dataclass
class ScriptedServer:
    """`answers[verb]` is used up from the front, then the ordinary answer; None hangs up instead. Verbs as on the wire,
    and `DOT` for the end of the message, `BANNER` for the greeting."""

    answers: Answers = field(default_factory=dict)
    pipelining: bool = True
    close_after: int | None = None
    silent_dot: bool = False
    delay: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    pipelined: bool = False
    waiting_dots: int = 0
    port: int = 0
    by_peer: Counter[str] = field(default_factory=Counter)
    most_by_peer: Counter[str] = field(default_factory=Counter)
    """Connections open at once from one address: now, and the most there ever were."""

    def _answer(self, verb: str, usual: bytes) -> bytes | None:
        script = self.answers.get(verb)
        return script.pop(0) if script else usual

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        peer = writer.get_extra_info("peername")[0]
        self.by_peer[peer] += 1
        self.most_by_peer[peer] = max(self.most_by_peer[peer], self.by_peer[peer])
        try:
            await self._talk(reader, writer, peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            self.by_peer[peer] -= 1
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        taken = 0
        banner = self._answer("BANNER", b"220 scripted")
        if banner is None:
            return
        writer.write(banner + b"\r\n")
        mail_from = rcpt = ""
        while True:
            line = (await reader.readuntil(b"\r\n"))[:-2]
            verb = line.split(b" ")[0].split(b":")[0].decode().upper()
            self.commands.append(verb)
            self.pipelined = self.pipelined or bool(reader._buffer)  # type: ignore[attr-defined]
            usual = OK
            if verb == "EHLO":
                usual = (
                    b"250-scripted\r\n"
                    + (b"250-PIPELINING\r\n" if self.pipelining else b"")
                    + b"250 8BITMIME"
                )
            elif verb == "DATA":
                usual = b"354 go" if rcpt else b"554 5.5.1 no valid recipients"
            elif verb == "QUIT":
                usual = b"221 bye"
            answer = self._answer(verb, usual)
            if answer is None:
                return
            writer.write(answer + b"\r\n")
            if verb == "MAIL":
                mail_from = line.decode() if answer.startswith(b"2") else ""
            elif verb == "RCPT":
                rcpt = line.decode() if answer.startswith(b"2") else ""
            elif verb == "RSET":
                mail_from = rcpt = ""
            elif verb == "QUIT" or answer.startswith(b"421"):
                return
            elif verb == "DATA" and answer.startswith(b"354"):
                data = await self._message(reader)
                answer = self._answer("DOT", OK)
                if self.silent_dot:
                    self.waiting_dots += 1
                    await asyncio.sleep(3600)
                if self.delay:
                    await asyncio.sleep(self.delay)
                if answer is None:
                    return
                if answer.startswith(b"2"):
                    self.seen.append(Seen(mail_from, rcpt, data, peer))
                writer.write(answer + b"\r\n")
                mail_from = rcpt = ""
                taken += 1
                if taken == self.close_after or answer.startswith(b"421"):
                    await writer.drain()
                    return

    async def _message(self, reader: asyncio.StreamReader) -> bytes:
        lines = []
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)


@contextlib.asynccontextmanager
async def serving(
    script: ScriptedServer, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[ScriptedServer]:
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await script.serve(reader, writer)

    server = await asyncio.start_server(talk, host, port, limit=2**22)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
