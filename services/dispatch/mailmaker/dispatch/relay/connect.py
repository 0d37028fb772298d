"""dispatch.relay: connects to the smarthost; aiosmtplib greets, negotiates TLS and AUTH, then our session takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import aiosmtplib
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
    tls: Literal["opportunistic", "required", "off"] = "opportunistic"
    username: str | None = None
    password: str | None = None

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


async def connect(to: Smarthost, clock: Callable[[], float]) -> Session:
    """An open session, greeted. Raises NotConnected."""
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
    transport = cast("asyncio.Transport | None", smtp.transport)
    if transport is None or transport.is_closing():
        raise NotConnected("closed after its greeting")
    session = Session(transport, pipelining=smtp.supports_extension("pipelining"), clock=clock)
    transport.set_protocol(session)
    return session
