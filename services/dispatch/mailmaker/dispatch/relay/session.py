"""dispatch.relay: one SMTP connection, pipelined (RFC 2920): an envelope in one write, then the body, then one reply.

Two last looks guard it, each in the same step of the event loop as the write it guards. What the server can prove to
have received decides the outcome: before the final dot was handed to the kernel a message goes back in line, after it
and without an answer it is uncertain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import cast

from mailmaker.common.mail.reply import Reply, parse_reply
from mailmaker.dispatch.domain.last_look import Refusal
from mailmaker.dispatch.relay.mail import Mail
from mailmaker.dispatch.relay.reply import Answered, End, Unanswered, Withheld

COMMAND_TIMEOUT = 60.0
DOT_TIMEOUT = 180.0
QUIT_TIMEOUT = 5.0
MAX_REPLY = 65_536

_EXPECTED = {b"250 ": Reply(250, None, ""), b"354 ": Reply(354, None, "")}

Look = Callable[[Mail], Refusal | None]


class Stage(IntEnum):
    IDLE = 0
    ENVELOPE = 1
    BODY = 2
    EMPTY = 3
    LEAVING = 4
    DEAD = 5


class Session(asyncio.Protocol):
    """Takes over a connected transport. One message at a time; `transact` answers how it ended."""

    def __init__(self, transport: asyncio.Transport, *, pipelining: bool, clock: Callable[[], float]) -> None:
        self._transport = transport
        self._pipelining = pipelining
        self._clock = clock
        self._stage = Stage.IDLE
        self._buffer = b""
        self._lines: list[bytes] = []
        self._commands: list[bytes] = []
        self._replies: list[Reply] = []
        self._reset = False
        self._mail: Mail | None = None
        self._look: Look | None = None
        self._failure: Reply | None = None
        self._ending: asyncio.Future[End] | None = None
        self.sent = 0
        self.deadline = float("inf")
        self.idle_since = clock()

    @property
    def usable(self) -> bool:
        return self._stage is Stage.IDLE and not self._transport.is_closing()

    @property
    def idle(self) -> bool:
        return self._stage is Stage.IDLE

    @property
    def busy(self) -> bool:
        return self._stage in (Stage.ENVELOPE, Stage.BODY, Stage.EMPTY)

    @property
    def dead(self) -> bool:
        return self._stage is Stage.DEAD

    def transact(self, mail: Mail, look: Look) -> asyncio.Future[End]:
        """Looks, writes the envelope, and in time the body. The first look and its write are one step."""
        ending: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        if not self.usable:
            ending.set_result(Unanswered(False, "the connection was closed"))
            return ending
        refusal = look(mail)
        if refusal is not None:
            ending.set_result(Withheld(refusal))
            return ending
        self._mail, self._look, self._ending = mail, look, ending
        self._replies, self._failure = [], None
        self._commands = [b"RSET\r\n"] if self._reset else []
        mail_from, rest = mail.envelope.split(b"\r\n", 1)
        self._commands += [mail_from + b"\r\n", rest, b"DATA\r\n"]
        self._stage = Stage.ENVELOPE
        self.deadline = self._clock() + COMMAND_TIMEOUT
        self._transport.write(b"".join(self._commands) if self._pipelining else self._commands[0])
        return ending

    def data_received(self, data: bytes) -> None:
        if self._stage is Stage.LEAVING:
            return
        data = self._buffer + data if self._buffer else data
        *lines, self._buffer = data.split(b"\r\n")
        for line in lines:
            if len(line) > 3 and line[3:4] == b"-":
                self._lines.append(line)
                continue
            whole, self._lines = [*self._lines, line], []
            try:
                # Of a "yes" inside the envelope only the code is of use.
                known = _EXPECTED.get(line[:4]) if self._stage is Stage.ENVELOPE else None
                self._heard(known or parse_reply(whole))
            except ValueError:
                self.abort("the server did not answer in SMTP")
                return
            if self._stage is Stage.DEAD:
                return
        if len(self._buffer) + sum(map(len, self._lines)) > MAX_REPLY:
            self.abort("a reply without end")

    def _heard(self, reply: Reply) -> None:
        if self._stage is Stage.ENVELOPE:
            self._in_envelope(reply)
        elif self._stage is Stage.BODY:
            self._after_dot(reply)
        elif self._stage is Stage.EMPTY:
            self._finish(Answered(cast("Reply", self._failure)))
        else:
            # Unasked: the server says goodbye (421) to an idle connection.
            self.abort("the server closed the connection")

    def _in_envelope(self, reply: Reply) -> None:
        place = len(self._replies)
        self._replies.append(reply)
        last = len(self._commands) - 1
        if reply.code == 421:
            self._finish(Answered(reply))
            self.abort("421")
            return
        good = reply.code == 354 if place == last else 200 <= reply.code < 300
        if not good and self._failure is None:
            if not (reply.temporary or reply.permanent):
                self.abort("a reply out of place")
                return
            self._failure = reply
        if place < last:
            if self._pipelining:
                return
            if self._failure is None:
                self._transport.write(self._commands[place + 1])
                return
        if self._failure is None:
            self._write_body()
            return
        self._reset = True
        if place == last and reply.code == 354:
            # The server wants a message though it refused the recipient: an empty one ends it (RFC 2920 section 3.1).
            self._stage = Stage.EMPTY
            self._transport.write(b".\r\n")
            return
        self._finish(Answered(self._failure))

    def _write_body(self) -> None:
        mail, look = cast("Mail", self._mail), cast("Look", self._look)
        refusal = look(mail)
        if refusal is not None:
            # The server waits for a body that must not come: only a closed connection tells it so.
            self._finish(Withheld(refusal))
            self.abort("withheld")
            return
        self._stage = Stage.BODY
        self.deadline = self._clock() + DOT_TIMEOUT
        self._transport.write(mail.data)

    def _after_dot(self, reply: Reply) -> None:
        self._reset = False
        if 300 <= reply.code < 400:
            self.abort("a reply out of place")
            return
        self.sent += 1
        self._finish(Answered(reply))
        if reply.code == 421:
            self.abort("421")

    def _finish(self, end: End) -> None:
        self._stage = Stage.IDLE
        self.deadline = float("inf")
        self.idle_since = self._clock()
        ending, self._ending, self._mail, self._look = self._ending, None, None, None
        if ending is not None and not ending.done():
            ending.set_result(end)

    def abort(self, why: str) -> None:
        """Closes the connection now; what is still in our write buffer is thrown away."""
        self._transport.abort()
        self._died(why)

    def quit(self) -> None:
        """Says goodbye to the server. The connection is there until the server closes it, or takes too long to."""
        if not self.usable:
            self.abort("quit")
            return
        self._stage = Stage.LEAVING
        self.deadline = self._clock() + QUIT_TIMEOUT
        self._transport.write(b"QUIT\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._died("the connection was lost")

    def _died(self, why: str) -> None:
        stage = self._stage
        if stage is Stage.DEAD:
            return
        if stage is Stage.EMPTY:
            self._finish(Answered(cast("Reply", self._failure)))
        elif stage in (Stage.ENVELOPE, Stage.BODY):
            self._finish(Unanswered(stage is Stage.BODY, why))
        self._stage = Stage.DEAD
