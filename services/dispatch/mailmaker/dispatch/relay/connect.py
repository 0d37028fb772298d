"""dispatch.relay: connects to a server; aiosmtplib greets, negotiates TLS and AUTH, then our session takes over."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import aiosmtplib
from mailmaker.dispatch.domain.egress import TlsPolicy
from mailmaker.dispatch.relay.session import Session

CONNECT_TIMEOUT = 20.0


class NotConnected(ConnectionError):
    """The server cannot be reached, or does not let us in."""


@dataclass(frozen=True, slots=True)
class Smarthost:
    """The server that takes every message. `tls`: opportunistic tries STARTTLS and takes any certificate."""

    host: str
    port: int
    ehlo: str
    tls: TlsPolicy = "opportunistic"
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


class BrokenTls(NotConnected):
    """The server offers STARTTLS and cannot do it (TLS-2)."""


async def connect(to: Smarthost, clock: Callable[[], float]) -> Session:
    """An open session with a server of the platform's or an account's, greeted. Raises NotConnected."""
    smtp = aiosmtplib.SMTP(
        hostname=to.host,
        port=to.port,
        local_hostname=to.ehlo,
        timeout=CONNECT_TIMEOUT,
        start_tls={"opportunistic": None, "required": True, "off": False}[to.tls],
        validate_certs=to.tls == "required",
        username=to.username,
        password=to.password,
    )
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await smtp.connect()
            # After STARTTLS it would greet only with its first command.
            if smtp.is_ehlo_or_helo_needed:
                await smtp.ehlo()
    except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as wrong:
        smtp.close()
        raise NotConnected(type(wrong).__name__) from wrong
    return _taken_over(smtp, clock)


async def greet(
    sock: socket.socket, host: str, ehlo: str, tls: TlsPolicy, timeout: float, clock: Callable[[], float]
) -> Session:
    """A session with a recipient's server over a connected socket, which is the session's from now on. Raises BrokenTls,
    NotConnected. A certificate proves nothing here: whom to expect is not known without MTA-STS or DANE (RFC 7435)."""
    smtp = aiosmtplib.SMTP(
        hostname=host, sock=sock, local_hostname=ehlo, timeout=timeout, start_tls=False, validate_certs=False
    )
    try:
        async with asyncio.timeout(timeout):
            await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:
                await smtp.ehlo()
            offered = smtp.supports_extension("starttls")
            if tls == "required" and not offered:
                raise NotConnected("the server offers no TLS, and its provider is known to")
            if tls != "off" and offered:
                await _secure(smtp)
    except NotConnected:
        _close(smtp, sock)
        raise
    except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as wrong:
        _close(smtp, sock)
        raise NotConnected(type(wrong).__name__) from wrong
    except BaseException:
        _close(smtp, sock)
        raise
    return _taken_over(smtp, clock)


async def _secure(smtp: aiosmtplib.SMTP) -> None:
    try:
        await smtp.starttls()
    except (aiosmtplib.SMTPException, OSError) as wrong:
        raise BrokenTls(type(wrong).__name__) from wrong
    await smtp.ehlo()


def _close(smtp: aiosmtplib.SMTP, sock: socket.socket) -> None:
    """Now, without a goodbye: a connection that is still there would count at the server and not here."""
    transport = cast("asyncio.Transport | None", smtp.transport)
    if transport is None:
        sock.close()
    else:
        transport.abort()
    smtp.close()


def _taken_over(smtp: aiosmtplib.SMTP, clock: Callable[[], float]) -> Session:
    transport = cast("asyncio.Transport | None", smtp.transport)
    if transport is None or transport.is_closing():
        raise NotConnected("closed after its greeting")
    session = Session(transport, pipelining=smtp.supports_extension("pipelining"), clock=clock)
    transport.set_protocol(session)
    return session
