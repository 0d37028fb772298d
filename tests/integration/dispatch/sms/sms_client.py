"""The client's side of the SMPP tests: ears that write down what they are told, and sessions bound to the local SMSC."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable

from mailmaker.dispatch.sms import pdu as p
from mailmaker.dispatch.sms.compose import recipient, sender
from mailmaker.dispatch.sms.connect import Smsc as Where
from mailmaker.dispatch.sms.connect import connect
from mailmaker.dispatch.sms.pace import Pace
from mailmaker.dispatch.sms.receipt import Notation, Receipt
from mailmaker.dispatch.sms.session import Session
from mailmaker.dispatch.sms.terms import Terms
from smsc import Smsc

ACME = sender("Acme")
NOTATION = Notation(answers="hex", receipts="decimal")


class Ears:
    """A listener. `faults`: raised in turn before anything is stored; `gate` closed: it takes its time."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.messages: list[p.DeliverSm] = []
        self.faults: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def on_receipt(self, receipt: Receipt, about: p.DeliverSm) -> None:
        await self._store()
        self.receipts.append(receipt)

    async def on_message(self, sm: p.DeliverSm) -> None:
        await self._store()
        self.messages.append(sm)

    async def _store(self) -> None:
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)


def yes() -> None:
    """A last look without objections."""


def message(text: bytes = b"Ciao", number: int = 1) -> p.SubmitSm:
    to = recipient(f"+39333{number:07d}")
    return p.SubmitSm(ACME, to, text, registered_delivery=p.RECEIPT_WANTED)


def terms(window: int = 10, answer_within: float = 20.0, enquire_after: float = 20.0) -> Terms:
    return Terms(window, answer_within, enquire_after, NOTATION)


async def open_session(
    smsc: Smsc,
    ears: Ears | None = None,
    agreed: Terms | None = None,
    pace: Pace | None = None,
    password: str = "secret",
    tls: ssl.SSLContext | None = None,
) -> Session:
    return await connect(
        Where("127.0.0.1", smsc.port, "us", password, tls=tls),
        agreed or terms(),
        ears or Ears(),
        pace or Pace(1e6, time.monotonic),
        time.monotonic,
    )


@contextlib.asynccontextmanager
async def bound(
    smsc: Smsc, ears: Ears | None = None, agreed: Terms | None = None, pace: Pace | None = None
) -> AsyncIterator[Session]:
    session = await open_session(smsc, ears, agreed, pace)
    try:
        yield session
    finally:
        session.abort("the test is over")


async def until(condition: Callable[[], object], within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
