"""ingest.drop.ftps_session: one FTP session: TLS on both channels, and one inbox.

A login waits for the house without stopping the other sessions.
"""

from __future__ import annotations

import traceback
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ClassVar

from mailmaker.common.ops.logging import logger
from mailmaker.ingest.domain.drops import Drop
from mailmaker.ingest.drop.ftp_library import DTPHandler, TLS_DTPHandler, TLS_FTPHandler
from mailmaker.ingest.drop.ftps_files import InboxFs, Incoming
from mailmaker.ingest.drop.sessions import Session
from mailmaker.ingest.storage.inbox_writing import Writing
from mailmaker.ingest.storage.inboxes import Inbox
from OpenSSL import SSL

if TYPE_CHECKING:
    from mailmaker.ingest.drop.ftps import FtpsServer

PASSWORDS = 3
_LOOK_AGAIN = 0.02
_REFUSED = ("PORT", "EPRT", "MKD", "XMKD", "RMD", "XRMD", "STOU", "REIN", "SITE CHMOD")
"""Active mode would make us connect where a client says; the rest an inbox has no use for."""


class InboxData(TLS_DTPHandler):  # type: ignore[misc]  # the library has no types
    """A data connection. Bytes are kept as they come, also in ASCII mode: a table may be anything."""

    timeout = 120

    def __init__(self, sock: Any, cmd_channel: Any) -> None:
        self.ended_well = False
        super().__init__(sock, cmd_channel)

    def enable_receiving(self, type: str, cmd: str) -> None:
        super().enable_receiving("i", cmd)

    def recv(self, buffer_size: int) -> bytes:
        try:
            data: bytes = super().recv(buffer_size)
        except SSL.Error as wrong:
            if "unexpected eof" not in str(wrong):
                raise
            # The connection ended and TLS did not: the client says by its next command whether the file was whole.
            DTPHandler.handle_close(self)
            return b""
        if data:
            self.cmd_channel.heard()
        return data

    def send(self, data: bytes) -> int:
        self.cmd_channel.heard()
        sent: int = super().send(data)
        return sent

    def close(self) -> None:
        if self._ssl_established and not self._closed and not self._ssl_closing:
            # close_notify (RFC 8446, 6.1) tells the end of the data from the end of a connection.
            self.ended_well = bool(self.socket.get_shutdown() & SSL.RECEIVED_SHUTDOWN)
        super().close()

    def handle_error(self) -> None:
        """Tells the client, in clear words on the control channel, that the transfer ended: the library's TLS half
        would close this connection and leave him waiting."""
        self._error = True
        DTPHandler.handle_error(self)

    def log_exception(self, instance: object) -> None:
        _log_exception()


class Permissions:
    """What the library asks of an authorizer: the inbox itself says no, so there is nothing to add here."""

    def has_perm(self, username: str, perm: str, path: str | None = None) -> bool:
        return True

    def get_perms(self, username: str) -> str:
        return "elradfw"

    def get_msg_quit(self, username: str) -> str:
        return "Goodbye."

    def impersonate_user(self, username: str, password: str) -> None:
        """Everything is done as ourselves."""

    def terminate_impersonation(self, username: str) -> None:
        """Everything is done as ourselves."""


class InboxSession(TLS_FTPHandler):  # type: ignore[misc]  # the library has no types
    """A control connection. `door` is the server's; the other attributes are the library's settings."""

    door: ClassVar[FtpsServer]
    banner = "Mail-Maker"
    abstracted_fs = InboxFs
    authorizer = Permissions()
    dtp_handler = InboxData
    unicode_errors = "strict"
    use_sendfile = False
    max_login_attempts = PASSWORDS
    auth_failed_timeout = 1
    tls_data_required = True
    proto_cmds: ClassVar[dict[str, Any]] = {
        name: what for name, what in TLS_FTPHandler.proto_cmds.items() if name not in _REFUSED
    }

    def __init__(self, conn: Any, server: Any, ioloop: Any = None) -> None:
        self.inbox: Inbox | None = None
        self.fs: Any = None
        self.session: Session | None = None
        self._uploaded: list[Writing] = []
        super().__init__(conn, server, ioloop)

    def handle(self) -> None:
        session = Session(self.remote_ip, self.door.now(), self.close)
        if not self.door.sessions.admit(session):
            self.handle_max_cons()
            return
        self.session = session
        super().handle()

    def heard(self) -> None:
        if self.session is not None:
            self.session.heard = self.door.now()

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        """A client that goes on talking after an upload has ended it itself."""
        self.heard()
        self._settle(finished=True)
        super().pre_process_command(line, cmd, arg)

    def ftp_AUTH(self, line: str) -> None:
        super().ftp_AUTH(line)
        # What came in clear behind AUTH is not part of what is said under TLS.
        self.ac_in_buffer = b""

    def ftp_PASS(self, line: str) -> None:
        """Asks whether the password is right; until that is known this session is not heard, and the others are."""
        if self.authenticated:
            self.respond("503 User already authenticated.")
        elif not self.username:
            self.respond("503 Login with USER first.")
        else:
            asked = self.door.log_in(self.username, line, self.protocol, self.remote_ip)
            self.del_channel()
            self._wait(asked, self.username)

    @property
    def protocol(self) -> str:
        return "ftps" if self._ssl_established else "ftp"

    def _wait(self, asked: Future[tuple[Drop, Inbox] | None], user_name: str) -> None:
        if self._closed:
            return
        if not asked.done():
            self.ioloop.call_later(_LOOK_AGAIN, self._wait, asked, user_name, _errback=self.handle_error)
            return
        try:
            found = asked.result()
        except Exception:
            found = None
        self.add_channel()
        if found is None or self.session is None or not self.door.sessions.has_room(found[0]):
            self.handle_auth_failed("", "")
            return
        self.session.drop, self.inbox = found
        self.tls_data_required = self._ssl_established
        self.handle_auth_success("/", "", "Login successful.")

    def ftp_CWD(self, path: str) -> None:
        try:
            self.fs.chdir(path)
        except OSError:
            self.respond("550 Not a directory.")
        else:
            self.respond(f'250 "{self.fs.cwd}" is the current directory.')

    def flush_account(self) -> None:
        """Another user begins."""
        self._settle(finished=False)
        super().flush_account()
        self.inbox = self.fs = None
        if self.session is not None:
            self.session.drop = None

    def _on_dtp_close(self) -> None:
        data = self.data_channel
        if data is not None and isinstance(data.file_obj, Incoming):
            writing = data.file_obj.writing
            if not data.transfer_finished or data.ended_well:
                writing.close(finished=data.transfer_finished)
            else:
                self._uploaded.append(writing)
        super()._on_dtp_close()

    def close(self) -> None:
        waiting, self._in_dtp_queue = getattr(self, "_in_dtp_queue", None), None
        if waiting is not None and isinstance(waiting[0], Incoming):
            waiting[0].writing.close(finished=False)
        self._settle(finished=False)
        super().close()
        if self.session is not None:
            self.door.sessions.leave(self.session)

    def _settle(self, *, finished: bool) -> None:
        uploaded, self._uploaded = self._uploaded, []
        for writing in uploaded:
            writing.close(finished=finished)

    def log_exception(self, instance: object) -> None:
        _log_exception()


def _log_exception() -> None:
    """Where, never what: the message may hold a name. Called while the exception is handled."""
    where = traceback.format_exc().strip().splitlines()[:-1]
    logger("ingest.drop").error("session fell", where=where[-6:])
