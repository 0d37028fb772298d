"""fbl.inbound.server: the worker that listens for SMTP; sessions are bounded in number, time, lines and bytes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import AnyStr

from aiosmtpd.smtp import SMTP
from mailmaker.common.ops.logging import logger
from mailmaker.fbl.inbound.door import Door

LINE = 64 * 1024
"""RFC 5321 says 998; real bounces and real opt-outs do not always, and refusing one would lose a "no"."""
FLOOD = 4
"""A client that goes on past this many times the size limit, deaf to our 552, is cut off."""
ANNOUNCED = "ESMTP"


class Conversation(SMTP):
    """aiosmtpd's protocol, with our limits. A bare LF or CR never ends a message (SMTP smuggling, INB-2)."""

    line_length_limit = LINE

    def __init__(
        self, door: Door, *, most_bytes: int, hostname: str, timeout: float, left: Callable[[], None]
    ) -> None:
        super().__init__(
            door,
            data_size_limit=most_bytes,
            enable_SMTPUTF8=True,
            decode_data=False,
            hostname=hostname,
            ident=ANNOUNCED,
            timeout=timeout,
            loop=asyncio.get_running_loop(),
        )
        self._most = FLOOD * most_bytes
        self._since_command = 0
        self._left = left

    def data_received(self, data: bytes) -> None:
        self._since_command += len(data)
        if self._since_command > self._most and isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
            return
        super().data_received(data)

    async def push(self, status: AnyStr) -> None:
        self._since_command = 0
        await super().push(status)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._left()


class _Full(asyncio.Protocol):
    """Told at the door that the house is full."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"421 4.3.2 too many sessions; come again\r\n")
        transport.close()


class SmtpServer:
    """A worker. `port` is known once it listens."""

    name = "smtp"

    def __init__(
        self,
        door: Door,
        *,
        host: str,
        port: int,
        hostname: str,
        most_bytes: int,
        most_sessions: int,
        timeout: float,
    ) -> None:
        self._door = door
        self._host = host
        self.port = port
        self._hostname = hostname
        self._most_bytes = most_bytes
        self._most_sessions = most_sessions
        self._timeout = timeout
        self._sessions = 0
        self.listening = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        # aiosmtpd's own log names senders and recipients.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._session, self._host, self.port, backlog=128)
        self.port = int(server.sockets[0].getsockname()[1])
        logger("fbl.inbound").info("smtp door open", port=self.port)
        self.listening.set()
        try:
            await stop.wait()
        finally:
            self.listening.clear()
            server.close()
            await self._drain()

    async def _drain(self) -> None:
        """Lets open transactions end: what is about to be told 250 is told so."""
        for _ in range(50):
            if not self._sessions:
                return
            await asyncio.sleep(0.1)

    def _session(self) -> asyncio.Protocol:
        if self._sessions >= self._most_sessions:
            return _Full()
        self._sessions += 1
        return Conversation(
            self._door,
            most_bytes=self._most_bytes,
            hostname=self._hostname,
            timeout=self._timeout,
            left=self._leave,
        )

    def _leave(self) -> None:
        self._sessions -= 1

    async def ready(self) -> str | None:
        """A readiness check."""
        return None if self.listening.is_set() else "the SMTP door is not open"
