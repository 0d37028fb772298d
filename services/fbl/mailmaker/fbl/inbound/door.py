"""fbl.inbound.door: what the SMTP door answers to RCPT and DATA. It relays for nobody and bounces to nobody (LOOP-5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from email.message import Message
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from mailmaker.common.mail.tokens import TokenKeys
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import StorageUnavailable
from mailmaker.common.storage.ids import NOBODY
from mailmaker.common.web.internal import Unreachable
from mailmaker.common.web.keyring import KeyRing
from mailmaker.fbl.actions.receive import Addressee, Arrived, Kept
from mailmaker.fbl.domain.mailbox import Mailbox, mailbox_of
from mailmaker.fbl.parse.fields import read_fields

MAX_RCPT = 100
MAX_HOPS = 50
MAX_HEADER = 256 * 1024
STORE_SECONDS = 60.0

UNKNOWN = "550 5.1.1 no such mailbox here"
TOO_MANY = "452 4.5.3 too many recipients; send the rest in another transaction"
TRY_AGAIN = "451 4.3.0 cannot be kept safely at the moment; try again"
LOOPS = "554 5.4.6 this mail goes in circles"

Receive = Callable[[Arrived], Awaitable[Kept]]


class Door:
    """aiosmtpd's handler hooks, named by the command."""

    def __init__(
        self, domains: frozenset[str], keys: TokenKeys, keyring: KeyRing, receive: Receive, clock: Clock
    ) -> None:
        self._domains = domains
        self._keys = keys
        self._keyring = keyring
        self._receive = receive
        self._clock = clock
        self._log = logger("fbl.inbound")

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MAX_RCPT:
            return TOO_MANY
        mailbox = mailbox_of(address, self._domains, self._keys)
        if mailbox is None:
            return UNKNOWN
        try:
            addressee = await self._addressee(mailbox)
        except (Unreachable, StorageUnavailable):
            return TRY_AGAIN
        envelope.rcpt_tos.append(address)
        _addressees(envelope).append(addressee)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw = envelope.original_content
        assert isinstance(raw, bytes)
        head = read_fields(raw[:MAX_HEADER].replace(b"\r\n", b"\n").split(b"\n\n", 1)[0])
        if len(head.every("received")) > MAX_HOPS:
            return LOOPS
        arrived = Arrived(
            raw=raw,
            mail_from=_sender(envelope),
            addressees=tuple(_addressees(envelope)),
            received_at=self._clock.now(),
            content_type=_content_type(head.first("content-type")),
            message_id=(head.first("message-id") or "")[:500] or None,
            peer=_peer(session),
            helo=session.host_name or "",
        )
        try:
            kept = await asyncio.wait_for(self._receive(arrived), STORE_SECONDS)
        except (StorageUnavailable, TimeoutError):
            return TRY_AGAIN
        return "250 2.0.0 kept" if kept.new else "250 2.0.0 kept before"

    async def handle_exception(self, error: Exception) -> str:
        # Whatever it is, it is ours: nothing was kept, and the client must know that it still has the mail.
        self._log.error("session fell", error=type(error).__name__, exc_info=error)
        return TRY_AGAIN

    async def _addressee(self, mailbox: Mailbox) -> Addressee:
        if mailbox.token is None:
            return Addressee(mailbox)
        account = await self._keyring.account_by_number(mailbox.token.account_number)
        return Addressee(mailbox, NOBODY if account is None else account.account_id)


def _addressees(envelope: Envelope) -> list[Addressee]:
    """What each accepted RCPT means, kept beside aiosmtpd's own list; a RSET drops both with the envelope."""
    held: Any = envelope
    if not hasattr(held, "addressees"):
        held.addressees = []
    found: list[Addressee] = held.addressees
    return found


def _sender(envelope: Envelope) -> str:
    # aiosmtpd writes the null sender as `<>`.
    return "" if envelope.mail_from in (None, "<>") else str(envelope.mail_from)


def _content_type(value: str | None) -> str:
    header = Message()
    header["Content-Type"] = (value or "text/plain")[:2000]
    return header.get_content_type()


def _peer(session: Session) -> str:
    peer: Any = session.peer
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""
