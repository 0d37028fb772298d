"""ingest.drop.ftps: the FTPS door, the library's loop in a thread of its own.

Whatever has to be asked of the house is asked on the house's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.ingest.actions.enter import Entrance
from mailmaker.ingest.domain.drops import Drop
from mailmaker.ingest.drop.ftp_library import FTPServer, IOLoop
from mailmaker.ingest.drop.ftps_session import InboxSession
from mailmaker.ingest.drop.keys import certificate
from mailmaker.ingest.drop.sessions import Bounds, Sessions
from mailmaker.ingest.storage.inboxes import Inbox
from OpenSSL import SSL

_TURN = 0.1
_LOOK_EVERY = 2.0
_LOGIN = 20.0
_GOODBYE = 10.0


@dataclass(frozen=True, slots=True)
class Way:
    """Where the door is and what it shows. `plain`: drops that allow `ftp` may log in without TLS."""

    host: str
    port: int
    certificate: str
    key: str
    folder: Path
    passive_ports: range | None = None
    public_address: str = ""
    plain: bool = False


class FtpsServer:
    """A worker: the door. TLS is required on both channels, 1.2 or newer."""

    name = "ingest.ftps"

    def __init__(self, entrance: Entrance, clock: Clock, way: Way, bounds: Bounds) -> None:
        self._entrance = entrance
        self._clock = clock
        self._way = way
        self._bounds = bounds
        self._loop: asyncio.AbstractEventLoop | None = None
        self.sessions = Sessions(bounds)
        self.address: tuple[str, int] | None = None

    async def ready(self) -> str | None:
        """Readiness: whether the door is open."""
        return None if self.address is not None else "the FTPS door is not open"

    async def run(self, stop: asyncio.Event) -> None:
        """Listens until told to stop."""
        # The library's own lines name users and files, and without a handler it would print them.
        library = logging.getLogger("pyftpdlib")
        library.setLevel(logging.CRITICAL)
        library.addHandler(logging.NullHandler())
        loop = self._loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        stopping = threading.Event()
        thread = threading.Thread(target=self._thread, args=(loop, stopping, ended), name=self.name)
        thread.start()
        waiting: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            stopping.set()
            await asyncio.wait_for(asyncio.shield(ended), _GOODBYE)

    def now(self) -> float:
        return self._clock.boot()

    def log_in(
        self, user_name: str, password: str, protocol: str, peer: str
    ) -> Future[tuple[Drop, Inbox] | None]:
        """Asks the house's loop whether somebody may come in."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(
            asyncio.wait_for(self._log_in(user_name, password, protocol, peer), _LOGIN), self._loop
        )

    async def _log_in(
        self, user_name: str, password: str, protocol: str, peer: str
    ) -> tuple[Drop, Inbox] | None:
        drop = await self._entrance.by_password(user_name, password, protocol, peer)
        return None if drop is None else (drop, await self._entrance.come_in(drop, protocol))

    def _thread(
        self, loop: asyncio.AbstractEventLoop, stopping: threading.Event, ended: asyncio.Future[None]
    ) -> None:
        wrong: Exception | None = None
        try:
            self._serve(stopping)
        except Exception as fell:
            wrong = fell
        finally:
            self.address = None
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_end, ended, wrong)

    def _serve(self, stopping: threading.Event) -> None:
        way = self._way
        server = FTPServer((way.host, way.port), self._handler(), ioloop=IOLoop())
        self.address = server.address
        logger("ingest.drop").info("listening", protocol="ftps", host=way.host, port=server.address[1])
        asked: Future[set[UUID]] | None = None
        due = 0.0
        try:
            while not stopping.is_set():
                server.ioloop.loop(self._turn(server), blocking=False)
                if asked is not None and asked.done():
                    self._expel(asked)
                    asked = None
                if asked is None and self.now() >= due:
                    due = self.now() + _LOOK_EVERY
                    asked = self._ask()
        finally:
            self.sessions.end_all()
            server.close_all()

    def _turn(self, server: FTPServer) -> float:
        """How long the loop may wait for the network: a password that is being looked at is asked for again soon."""
        soonest = server.ioloop.sched.poll()
        return _TURN if soonest is None else min(_TURN, max(soonest, 0.0))

    def _handler(self) -> type[InboxSession]:
        """The session's class with this door's settings: the library takes them from the class."""
        way = self._way
        chain, key = certificate(way.certificate, way.key, way.folder, way.public_address or "localhost")
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION)
        context.use_certificate_chain_file(chain)
        context.use_privatekey_file(key)
        context.check_privatekey()
        settings = {
            "door": self,
            "ssl_context": context,
            "tls_control_required": not way.plain,
            "timeout": self._bounds.idle,
            "passive_ports": way.passive_ports,
            "masquerade_address": way.public_address or None,
        }
        return type("Session", (InboxSession,), settings)

    def _ask(self) -> Future[set[UUID]] | None:
        drops = self.sessions.drops()
        if not drops or self._loop is None:
            self.sessions.end_those(set(), self.now())
            return None
        return asyncio.run_coroutine_threadsafe(self._entrance.expelled(drops), self._loop)

    def _expel(self, asked: Future[set[UUID]]) -> None:
        expelled: set[UUID] = set()
        with contextlib.suppress(Exception):  # PostgreSQL is away: nobody is expelled by what is not known
            expelled = asked.result()
        self.sessions.end_those(expelled, self.now())


def _end(ended: asyncio.Future[None], wrong: Exception | None) -> None:
    if ended.done():
        return
    if wrong is None:
        ended.set_result(None)
    else:
        ended.set_exception(wrong)
