"""ingest.drop.sftp: the SFTP door: who comes in by password or key finds his inbox, and nothing else of SSH."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import asyncssh
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import StorageUnavailable
from mailmaker.common.web.internal import Unreachable
from mailmaker.ingest.actions.enter import Entrance
from mailmaker.ingest.domain.drops import Drop
from mailmaker.ingest.drop.keys import host_keys
from mailmaker.ingest.drop.sessions import Bounds, Session, Sessions
from mailmaker.ingest.drop.sftp_files import InboxFiles
from mailmaker.ingest.storage.inboxes import Inbox

PROTOCOL = "sftp"
_LOOK_EVERY = 2.0
_KEEPALIVE = 15.0
_PASSWORDS = 3
_AWAY = (StorageUnavailable, Unreachable)


class Guest(asyncssh.SSHServer):
    """One connection: logs in, and has an inbox from then on."""

    def __init__(self, entrance: Entrance, sessions: Sessions, clock: Clock) -> None:
        self._entrance = entrance
        self._sessions = sessions
        self._clock = clock
        self._conn: asyncssh.SSHServerConnection | None = None
        self._session: Session | None = None
        self._asked: Drop | None = None
        self._shown: Drop | None = None
        self._wrong = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        peer = conn.get_extra_info("peername")
        session = Session(str(peer[0]) if peer else "", self._clock.boot(), conn.abort)
        self._conn = conn
        if self._sessions.admit(session):
            self._session = session
            conn.set_extra_info(guest=self)
        else:
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._session is not None:
            self._sessions.leave(self._session)

    async def begin_auth(self, username: str) -> bool:
        """Everybody has to log in; whether the user exists is not told."""
        self._shown = None
        try:
            self._asked = await self._entrance.find(username, PROTOCOL)
        except _AWAY:
            self._asked = None
        return True

    def password_auth_supported(self) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        shown = key.export_public_key().split()[:2]
        drop = self._asked
        if drop is None or not any(one.encode().split()[:2] == shown for one in drop.public_keys):
            return False
        return self._admit(drop)

    async def validate_password(self, username: str, password: str) -> bool:
        peer = "" if self._session is None else self._session.peer
        try:
            drop = await self._entrance.by_password(username, password, PROTOCOL, peer)
        except _AWAY:
            drop = None
        if drop is not None and self._admit(drop):
            return True
        self._wrong += 1
        if self._wrong >= _PASSWORDS and self._conn is not None:
            self._conn.abort()
        return False

    def _admit(self, drop: Drop) -> bool:
        if self._session is None or not self._sessions.has_room(drop):
            return False
        self._shown = self._session.drop = drop
        return True

    async def come_in(self) -> Inbox:
        """The inbox of the user who was let in, whatever other names were tried before. Raises PermissionDenied."""
        drop, user = self._shown, self._conn and self._conn.get_extra_info("username")
        if drop is None or drop.user_name != user:
            raise asyncssh.PermissionDenied("nobody was let in")
        try:
            return await self._entrance.come_in(drop, PROTOCOL)
        except (*_AWAY, OSError) as wrong:
            raise asyncssh.PermissionDenied("the inbox cannot be opened at the moment") from wrong

    def heard(self) -> None:
        if self._session is not None:
            self._session.heard = self._clock.boot()


class SftpServer:
    """A worker: the door. Shell, commands, forwarding, agents and scp are refused: only the subsystem `sftp` is there."""

    name = "ingest.sftp"

    def __init__(
        self,
        entrance: Entrance,
        clock: Clock,
        *,
        host: str,
        port: int,
        keys: str,
        folder: Path,
        bounds: Bounds,
    ) -> None:
        self._entrance = entrance
        self._clock = clock
        self._host = host
        self._port = port
        self._keys = keys
        self._folder = folder
        self._bounds = bounds
        self._sessions = Sessions(bounds)
        self.address: tuple[str, int] | None = None

    async def ready(self) -> str | None:
        """Readiness: whether the door is open."""
        return None if self.address is not None else "the SFTP door is not open"

    async def run(self, stop: asyncio.Event) -> None:
        """Listens until told to stop."""
        # The library's own lines name users and files.
        logging.getLogger("asyncssh").setLevel(logging.CRITICAL)
        paths = await asyncio.to_thread(host_keys, self._keys, self._folder)
        acceptor = await asyncssh.listen(
            self._host,
            self._port,
            server_factory=lambda: Guest(self._entrance, self._sessions, self._clock),
            server_host_keys=paths,
            sftp_factory=_inbox_of,
            allow_scp=False,
            allow_pty=False,
            agent_forwarding=False,
            x11_forwarding=False,
            gss_host=None,
            compression_algs=None,
            login_timeout=self._bounds.login,
            keepalive_interval=_KEEPALIVE,
            server_version="MailMaker",
        )
        self.address = (self._host, acceptor.get_port())
        logger("ingest.drop").info("listening", protocol=PROTOCOL, host=self._host, port=acceptor.get_port())
        try:
            while not stop.is_set():
                try:
                    await asyncio.wait_for(stop.wait(), _LOOK_EVERY)
                except TimeoutError:
                    await self._expel()
        finally:
            self.address = None
            acceptor.close()
            self._sessions.end_all()
            await acceptor.wait_closed()

    async def _expel(self) -> None:
        drops = self._sessions.drops()
        try:
            expelled = await self._entrance.expelled(drops) if drops else set()
        except StorageUnavailable:
            expelled = set()
        self._sessions.end_those(expelled, self._clock.boot())


async def _inbox_of(chan: asyncssh.SSHServerChannel[bytes]) -> InboxFiles:
    guest: Guest = chan.get_connection().get_extra_info("guest")
    return InboxFiles(chan, await guest.come_in(), guest.heard)
