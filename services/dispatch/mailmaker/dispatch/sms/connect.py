"""dispatch.sms: connects to the provider's SMSC and binds as transceiver (SMPP 3.4 section 4.1; SMS-1)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from mailmaker.dispatch.sms.hearing import Listener
from mailmaker.dispatch.sms.pace import Pace
from mailmaker.dispatch.sms.pdu import BindTransceiver
from mailmaker.dispatch.sms.session import Session
from mailmaker.dispatch.sms.status import name_of
from mailmaker.dispatch.sms.terms import Terms

CONNECT_TIMEOUT = 20.0


class NotBound(ConnectionError):
    """The SMSC cannot be reached, or does not let us in; `status` is its answer, if it gave one."""

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Smsc:
    """Where to bind, and as whom. With `tls` the certificate must be good for `host`."""

    host: str
    port: int
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    tls: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


async def connect(
    to: Smsc, terms: Terms, listener: Listener, pace: Pace, clock: Callable[[], float]
) -> Session:
    """A bound session. Raises NotBound, and Unencodable when a credential does not fit its field."""
    session = Session(terms, listener, pace, clock)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await asyncio.get_running_loop().create_connection(lambda: session, to.host, to.port, ssl=to.tls)
            status = await session.bind(BindTransceiver(to.system_id, to.password, to.system_type))
    except (OSError, TimeoutError) as wrong:
        session.abort("not bound")
        raise NotBound(type(wrong).__name__) from wrong
    except BaseException:
        session.abort("not bound")
        raise
    if status != 0:
        session.abort("not bound")
        raise NotBound(name_of(status), status)
    return session
