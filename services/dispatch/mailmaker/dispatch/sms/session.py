"""dispatch.sms: one SMPP connection: binds, submits within its window, hears receipts and messages (SMS-1, SMS-2, SMS-4).

The last look and the write of submit_sm are one step of the event loop. What the SMSC can prove to have received decides
the outcome: a submit that was handed to the connection and has no answer is uncertain; before that it goes back in line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from mailmaker.common.ops.logging import logger
from mailmaker.dispatch.domain.last_look import Refusal
from mailmaker.dispatch.sms import pdu as p
from mailmaker.dispatch.sms.codec import BadBody, BadFrame, BadPdu, Frames, UnknownCommand, decode, encode
from mailmaker.dispatch.sms.ends import Accepted, End, Refused, Throttled, Unanswered, Withheld
from mailmaker.dispatch.sms.hearing import Hearing, Listener
from mailmaker.dispatch.sms.pace import Pace
from mailmaker.dispatch.sms.receipt import message_key
from mailmaker.dispatch.sms.status import TOO_FAST, Status
from mailmaker.dispatch.sms.terms import Terms
from mailmaker.dispatch.sms.window import Window

MOST_UNREAD = 1_048_576
"""Octets of answers the SMSC may leave unread."""

LINGER = 5.0

Look = Callable[[], Refusal | None]


class Session(asyncio.Protocol):
    """Speaks on one connection until either side ends it. connect.connect makes it, bound."""

    def __init__(self, terms: Terms, listener: Listener, pace: Pace, clock: Callable[[], float]) -> None:
        self._terms = terms
        self._pace = pace
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._hearing = Hearing(listener, terms.notation, self._answer)
        self._window = Window(terms.window)
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._bound: asyncio.Future[int | None] = self._loop.create_future()
        self._unbound: asyncio.Future[None] = self._loop.create_future()
        self._open = self._ended = self._paused = False
        self._heard_at = clock()
        self._enquiry: tuple[int, float] | None = None
        self._next_tick: asyncio.TimerHandle | None = None
        self.accepted = 0
        self.why = "the connection was closing"

    @property
    def usable(self) -> bool:
        """Bound, and nobody said goodbye."""
        return self._open and self._transport is not None and not self._transport.is_closing()

    @property
    def outstanding(self) -> int:
        """Submits without answer."""
        return len(self._window)

    async def bind(self, request: p.BindTransceiver) -> int:
        """The status of the SMSC's answer; the session is usable if it is 0. To be awaited with a timeout. Raises
        ConnectionError when the connection ends instead."""
        self._write(request, self._window.next())
        status = await self._bound
        if status is None:
            raise ConnectionError(self.why)
        return status

    async def room(self) -> bool:
        """Waits until the window has room; False when the session takes no more. Room is not kept: submit in the same
        step. The wait has an end: each submit before it is answered, or given up after `answer_within`."""
        await self._window.room()
        return self.usable

    def submit(self, sm: p.SubmitSm, look: Look) -> asyncio.Future[End]:
        """Looks, and writes in the same step. The window counts it until its end, even if nobody waits for the future.
        Raises Unencodable, before it looks."""
        if not self.usable:
            return self._at_once(Unanswered(False, "the session was closed"))
        if not self._window.has_room:
            return self._at_once(Unanswered(False, "the window is full"))
        sequence = self._window.next()
        octets = encode(sm, sequence)
        refusal = look()
        if refusal is not None:
            return self._at_once(Withheld(refusal))
        ending = self._window.take(sequence, self._clock() + self._terms.answer_within)
        cast("asyncio.Transport", self._transport).write(octets)
        return ending

    async def close(self, patience: float) -> None:
        """Submits nothing more, waits for answers, unbinds, closes; all in about `patience` seconds."""
        until = self._clock() + patience
        self._open = False
        self._window.close()
        await self._window.answered(patience)
        await self._hearing.told(max(until - self._clock(), 0.0))
        if not self._ended:
            self._write(p.Unbind(), self._window.next())
            await asyncio.wait([self._unbound], timeout=max(until - self._clock(), 0.1))
        self._end("unbound")

    def abort(self, why: str) -> None:
        """Closes the connection now, with what is still unwritten."""
        if self._transport is not None:
            self._transport.abort()
        self._end(why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._tick()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("the connection was lost")

    def pause_writing(self) -> None:
        self._window.hold_up(True)

    def resume_writing(self) -> None:
        self._window.hold_up(False)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._clock()
        try:
            for frame in self._frames.feed(data):
                if self._ended:
                    return
                self._read(frame)
        except BadFrame as wrong:
            self._write(p.GenericNack(Status.RINVCMDLEN), 0)
            self._end(f"the stream was lost: {wrong}")
        self._balance()

    def _read(self, frame: bytes) -> None:
        try:
            sequence, heard = decode(frame)
        except (UnknownCommand, BadBody) as wrong:
            self._not_understood(wrong)
            return
        match heard:
            case p.SubmitSmResp():
                self._submitted(sequence, heard.status, heard.message_id)
            case p.DeliverSm():
                self._hearing.deliver(sequence, heard, self._window.numbers, self._clock())
            case p.EnquireLink():
                self._write(p.EnquireLinkResp(), sequence)
            case p.EnquireLinkResp():
                self._enquiry = None
            case p.BindTransceiverResp():
                self._bind_answered(heard.status)
            case p.GenericNack():
                self._bind_answered(heard.status or Status.RUNKNOWNERR)
                self._submitted(sequence, heard.status or Status.RUNKNOWNERR, "")
            case p.Unbind():
                self._write(p.UnbindResp(), sequence)
                self._end("the server unbound")
            case p.UnbindResp():
                if not self._unbound.done():
                    self._unbound.set_result(None)
            case p.SubmitSm() | p.BindTransceiver():
                self._write(p.GenericNack(Status.RINVBNDSTS), sequence)

    def _bind_answered(self, status: int) -> None:
        if not self._bound.done():
            self._open = status == 0
            self._bound.set_result(status)

    def _submitted(self, sequence: int, status: int, message_id: str) -> None:
        end: End = Refused(status)
        if status == 0:
            end = Accepted(message_key(message_id, self._terms.notation.answers))
        elif status in TOO_FAST:
            end = Throttled(self._pace.slower())
        if not self._window.finish(sequence, end):
            # After `answer_within` its submit has ended as uncertain, and stays so.
            logger("dispatch.sms").info("an answer nobody waits for", sequence=sequence, status=status)
        elif isinstance(end, Accepted):
            self.accepted += 1
            self._hearing.accepted(end.message_id)

    def _not_understood(self, wrong: BadPdu) -> None:
        logger("dispatch.sms").warning(
            "PDU not understood", command=f"{wrong.command:08X}", reason=str(wrong)
        )
        if wrong.command == p.SubmitSmResp.command:
            self._window.finish(wrong.sequence, Unanswered(True, "an answer that cannot be read"))
        elif wrong.command < 0x8000_0000:
            unknown = isinstance(wrong, UnknownCommand)
            self._write(p.GenericNack(Status.RINVCMDID if unknown else Status.RINVCMDLEN), wrong.sequence)

    def _tick(self) -> None:
        """Time passes: deadlines, and the enquiry whether anybody is there."""
        now, terms = self._clock(), self._terms
        self._window.expire(now)
        if self._enquiry is not None:
            if now > self._enquiry[1] and not self._paused:
                self.abort("no answer to enquire_link")
        elif self._open and now - self._heard_at > terms.enquire_after:
            self._enquiry = self._window.next(), now + terms.answer_within
            self._write(p.EnquireLink(), self._enquiry[0])
        self._balance()
        if not self._ended:
            wait = min(1.0, terms.answer_within / 4, terms.enquire_after / 4)
            self._next_tick = self._loop.call_later(wait, self._tick)

    def _balance(self) -> None:
        """Lets go receipts that wait for nothing, and reads on only as fast as the listener stores."""
        numbers = self._window.numbers
        self._hearing.passed(numbers[0] if numbers else None, self._clock())
        if self._transport is not None and not self._ended and self._paused != self._hearing.full:
            self._paused = self._hearing.full
            (self._transport.pause_reading if self._paused else self._transport.resume_reading)()

    def _answer(self, sequence: int, status: Status) -> None:
        self._write(p.DeliverSmResp(status), sequence)
        self._balance()

    def _write(self, value: p.Pdu, sequence: int) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(encode(value, sequence))
        if transport.get_write_buffer_size() > MOST_UNREAD:
            self.abort("the server does not read")

    def _at_once(self, end: End) -> asyncio.Future[End]:
        ending: asyncio.Future[End] = self._loop.create_future()
        ending.set_result(end)
        return ending

    def _end(self, why: str) -> None:
        if self._ended:
            return
        self._ended, self._open, self.why = True, False, why
        if self._next_tick is not None:
            self._next_tick.cancel()
        if self._transport is not None:
            self._transport.close()
            # What is still unwritten keeps a closing connection open: not for ever.
            self._loop.call_later(LINGER, self._transport.abort)
        self._window.give_up(why)
        if not self._bound.done():
            self._bound.set_result(None)
        if not self._unbound.done():
            self._unbound.set_result(None)
        self._balance()
