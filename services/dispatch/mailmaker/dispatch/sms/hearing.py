"""dispatch.sms: what the SMSC delivers: told to the listener, then answered (SMS-4, SMS-5).

The answer is the receipt's or message's end at the SMSC, so it is given only when the listener has it: a listener that
fails makes it ESME_RX_T_APPN, and the SMSC delivers again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from mailmaker.common.ops.logging import logger
from mailmaker.dispatch.sms.early import Early
from mailmaker.dispatch.sms.pdu import DeliverSm
from mailmaker.dispatch.sms.receipt import NoReceipt, Notation, Receipt, is_receipt, receipt_of
from mailmaker.dispatch.sms.status import Status

MOST_HELD = 1000
HELD_FOR = 5.0
"""Seconds: an SMSC that answers a submit only after its receipt was answered waits as long."""
MOST_TOLD = 1000
TELL_TIMEOUT = 10.0


class Listener(Protocol):
    """Whom a session tells. Returning means: stored. The same may be told twice (an SMSC delivers again when our answer
    was lost), and several at the same time."""

    async def on_receipt(self, receipt: Receipt, about: DeliverSm) -> None:
        """`about` names the recipient as its source. A receipt of one of this session's submits is told after that submit
        has ended; one of an earlier session's, or of an uncertain submit's, names an id the session never told."""
        ...

    async def on_message(self, sm: DeliverSm) -> None:
        """Somebody wrote to one of our numbers (STOP)."""
        ...


@dataclass(frozen=True, slots=True)
class _Heard:
    sequence: int
    sm: DeliverSm
    receipt: Receipt | None


class Hearing:
    """The inbound half of a session. `answer` writes a deliver_sm_resp of that status, if it still can."""

    def __init__(self, listener: Listener, notation: Notation, answer: Callable[[int, Status], None]) -> None:
        self._listener = listener
        self._notation = notation
        self._answer = answer
        self._early: Early[_Heard] = Early(MOST_HELD, HELD_FOR)
        self._told: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        """The listener is behind: nothing more should be read until it has caught up."""
        return len(self._told) >= MOST_TOLD

    def deliver(self, sequence: int, sm: DeliverSm, on_their_way: tuple[int, int] | None, now: float) -> None:
        """One deliver_sm. `on_their_way`: the first and last number of the submits without answer."""
        if not is_receipt(sm):
            self._tell(_Heard(sequence, sm, None))
            return
        try:
            receipt = receipt_of(sm, self._notation)
        except NoReceipt as wrong:
            logger("dispatch.sms").warning("receipt not understood", reason=str(wrong))
            # For good: delivered again it would name no message either.
            self._answer(sequence, Status.RX_P_APPN)
            return
        heard = _Heard(sequence, sm, receipt)
        if on_their_way is None:
            self._tell(heard)
            return
        for oldest in self._early.hold(receipt.message_id, on_their_way[1], now, heard):
            self._tell(oldest)

    def accepted(self, message_id: str) -> None:
        """A submit has just ended so. Its receipts are told in a later step: whoever waits for the end has it first."""
        for heard in self._early.accepted(message_id):
            self._tell(heard)

    def passed(self, oldest: int | None, now: float) -> None:
        """Submits before number `oldest` have all ended."""
        for heard in self._early.passed(oldest, now):
            self._tell(heard)

    async def told(self, patience: float) -> None:
        """Waits, no longer than that, until the listener has all that was told."""
        if self._told:
            await asyncio.wait(self._told, timeout=patience)

    def _tell(self, heard: _Heard) -> None:
        task = asyncio.get_running_loop().create_task(self._tell_and_answer(heard))
        self._told.add(task)

    async def _tell_and_answer(self, heard: _Heard) -> None:
        status = Status.RX_T_APPN
        try:
            async with asyncio.timeout(TELL_TIMEOUT):
                if heard.receipt is not None:
                    await self._listener.on_receipt(heard.receipt, heard.sm)
                else:
                    await self._listener.on_message(heard.sm)
            status = Status.ROK
        except Exception as wrong:
            logger("dispatch.sms").warning("not stored", error=type(wrong).__name__)
        finally:
            # Before the answer: with it the session decides whether to read on.
            self._told.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        self._answer(heard.sequence, status)
