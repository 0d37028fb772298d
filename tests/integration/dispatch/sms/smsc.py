"""A small SMSC on a real socket. It reads and writes SMPP 3.4 with struct alone and knows nothing of our codec, so a fault
in that cannot cancel out. What it accepted is in its ledger, whatever became of the answer."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

ROK, RINVCMDID, RINVDSTADR, RINVPASWD, RTHROTTLED = 0x00, 0x03, 0x0B, 0x0E, 0x58
SUBMIT_SM, DELIVER_SM, UNBIND, BIND_TRANSCEIVER, ENQUIRE_LINK = 0x04, 0x05, 0x06, 0x09, 0x15
RESPONSE = 0x80000000

Cut = Literal["unread", "before_answer", "half_answer", "after_answer", "between"]
"""Where the link ends: the submit is not even accepted; it is, and no octet of the answer is written; half of it is; all of
it is; its receipt is, and the answer is not."""

STATES = (("DELIVRD", 2), ("UNDELIV", 5), ("EXPIRED", 3))
"""What becomes of a message, by its number: as a word in the receipt's text, and as message_state."""


@dataclass
class Entry:
    """A submit_sm that was read, and what was done about it. `id` is 0 when it was not accepted."""

    connection: int
    source: str
    destination: str
    esm_class: int
    data_coding: int
    registered_delivery: int
    short_message: bytes
    status: int
    id: int = 0
    answered: bool = False
    early: bool = False

    @property
    def word(self) -> str:
        return STATES[self.id % len(STATES)][0]


@dataclass
class Delivery:
    """A deliver_sm, until the client has answered it with ROK."""

    body: bytes
    entry: Entry | None
    status: asyncio.Future[int]
    times: int = 0


@dataclass
class Smsc:
    """`cuts`: by the number of the submit, over all connections. `throttle` 1 in so many; `early`: 1 receipt in so many goes
    before the answer. `batch`: so many submits are read before the first of them is answered, if they have come. Message
    ids are hex in answers and parameters, decimal in the text of receipts."""

    password: str = "secret"
    throttle: int = 0
    early: int = 0
    receipts: Literal["text", "tlv", "both", "none"] = "none"
    cuts: dict[int, Cut] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    bind_statuses: list[int] = field(default_factory=list)
    silent: bool = False
    deaf: bool = False
    holding: bool = False
    batch: int = 1

    ledger: list[Entry] = field(default_factory=list)
    reported: list[Delivery] = field(default_factory=list)
    commands: list[int] = field(default_factory=list)
    nacks: list[int] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    binds: int = 0
    most_unanswered: int = 0
    cut: list[Cut] = field(default_factory=list)
    port: int = 0
    _undelivered: deque[Delivery] = field(default_factory=deque)
    _held: list[tuple[Link, int, Entry, Cut | None]] = field(default_factory=list)
    _ids: int = 0

    @property
    def accepted(self) -> list[Entry]:
        return [entry for entry in self.ledger if entry.id]

    @property
    def link(self) -> Link:
        return self.links[-1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self, writer, len(self.links) + 1)
        self.links.append(link)
        try:
            while not writer.is_closing():
                head = await reader.readexactly(16)
                length, command, status, sequence = struct.unpack(">4I", head)
                body = await reader.readexactly(length - 16)
                self.commands.append(command)
                await self._heard(link, command, status, sequence, body)
                if not self.holding and (len(self._held) >= self.batch or not reader._buffer):  # type: ignore[attr-defined]
                    await self.release(len(self._held))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            link.lost()
            if not self.holding:
                # Accepted and never answered: its receipt comes all the same.
                await self.release(len(self._held))

    async def _heard(self, link: Link, command: int, status: int, sequence: int, body: bytes) -> None:
        if command == BIND_TRANSCEIVER:
            self._bind(link, sequence, body)
        elif command == SUBMIT_SM:
            self._submit(link, sequence, body)
        elif command == DELIVER_SM | RESPONSE:
            link.confirmed(sequence, status)
        elif command == ENQUIRE_LINK:
            if not self.deaf:
                link.write(command | RESPONSE, ROK, sequence)
        elif command == UNBIND:
            link.write(command | RESPONSE, ROK, sequence)
            await link.writer.drain()
            link.writer.close()
        elif command == RESPONSE:
            self.nacks.append(status)
        elif not command & RESPONSE:
            link.write(RESPONSE, RINVCMDID, sequence)

    def _bind(self, link: Link, sequence: int, body: bytes) -> None:
        _, password, _, rest = body.split(b"\0", 3)
        assert rest[0] == 0x34, "interface_version"
        status = ROK if password.decode() == self.password else RINVPASWD
        if self.bind_statuses:
            status = self.bind_statuses.pop(0)
        if status:
            link.write(BIND_TRANSCEIVER | RESPONSE, status, sequence)
            return
        self.binds += 1
        link.write(
            BIND_TRANSCEIVER | RESPONSE, ROK, sequence, b"local\0" + struct.pack(">HHB", 0x0210, 1, 0x34)
        )
        while self._undelivered:
            link.deliver(self._undelivered.popleft())

    def _submit(self, link: Link, sequence: int, body: bytes) -> None:
        entry = _entry(body, link.number)
        cut = self.cuts.get(len(self.ledger) + 1)
        if cut is not None:
            self.cut.append(cut)
        self.ledger.append(entry)
        if cut == "unread":
            link.writer.transport.abort()
            return
        if self.throttle and len(self.ledger) % self.throttle == 0 and cut is None:
            entry.status = RTHROTTLED
        elif entry.destination in self.refused:
            entry.status = self.refused[entry.destination]
        else:
            self._ids += 1
            entry.id = self._ids
        link.unanswered += 1
        self.most_unanswered = max(self.most_unanswered, link.unanswered)
        if self.silent:
            return
        self._held.append((link, sequence, entry, cut))

    async def _decide(self, link: Link, sequence: int, entry: Entry, cut: Cut | None) -> None:
        gone = link.writer.is_closing()
        reports = bool(self.receipts != "none" and entry.id and entry.registered_delivery & 1)
        entry.early = reports and (cut == "between" or bool(self.early and entry.id % self.early == 0))
        if entry.early:
            self.report(entry)
            await asyncio.sleep(0)
        answer = (f"{entry.id:08X}".encode() + b"\0") if entry.id else b""
        whole = _pdu(SUBMIT_SM | RESPONSE, entry.status, sequence, answer)
        if not gone and cut != "before_answer" and cut != "between":
            link.writer.write(whole[: len(whole) // 2] if cut == "half_answer" else whole)
            entry.answered = cut != "half_answer"
        link.unanswered -= 1
        if cut is not None:
            # Closed in order: what was written before the cut arrives.
            link.writer.close()
        if reports and not entry.early:
            self.report(entry)

    async def release(self, most: int | None = None) -> None:
        """Answers what was held: so many from the first, or all from the last, for answers need not come in order."""
        held = self._held[::-1] if most is None else self._held[:most]
        self._held = [] if most is None else self._held[most:]
        for link, sequence, entry, cut in held:
            await self._decide(link, sequence, entry, cut)

    def report(self, entry: Entry) -> Delivery:
        """A receipt of the message, now; again after the next bind until it is answered with ROK."""
        delivery = Delivery(self._receipt(entry), entry, asyncio.get_running_loop().create_future())
        self.reported.append(delivery)
        self._deliver(delivery)
        return delivery

    def say(self, source: str, text: bytes, *, esm_class: int = 0, data_coding: int = 0) -> Delivery:
        """Somebody's message to the client's number 48123."""
        body = _sm((1, 1, source), (0, 0, "48123"), esm_class, data_coding, text)
        delivery = Delivery(body, None, asyncio.get_running_loop().create_future())
        self._deliver(delivery)
        return delivery

    def _deliver(self, delivery: Delivery) -> None:
        if self.links and not self.link.writer.is_closing():
            self.link.deliver(delivery)
        else:
            self._undelivered.append(delivery)

    def _receipt(self, entry: Entry) -> bytes:
        word, state = STATES[entry.id % len(STATES)]
        text = (
            f"id:{entry.id:010d} sub:001 dlvrd:001 submit date:2411231004 done date:2411231005"
            f" stat:{word} err:000 text:{entry.short_message[:20].decode('latin-1')}"
        ).encode("latin-1")
        tlvs = struct.pack(">HH9s", 0x001E, 9, f"{entry.id:08X}".encode()) + struct.pack(
            ">HHB", 0x0427, 1, state
        )
        source, destination = (1, 1, entry.destination), (5, 0, entry.source)
        if self.receipts == "tlv":
            return _sm(source, destination, 0x04, 0, b"") + tlvs
        return _sm(source, destination, 0x04, 0, text) + (tlvs if self.receipts == "both" else b"")


class Link:
    """One connection to the client."""

    def __init__(self, smsc: Smsc, writer: asyncio.StreamWriter, number: int) -> None:
        self.writer = writer
        self.number = number
        self.unanswered = 0
        self._smsc = smsc
        self._sequence = 0
        self._unconfirmed: dict[int, Delivery] = {}

    def write(self, command: int, status: int, sequence: int, body: bytes = b"") -> None:
        self.writer.write(_pdu(command, status, sequence, body))

    def raw(self, octets: bytes) -> None:
        self.writer.write(octets)

    def ask(self) -> None:
        """An enquire_link of the SMSC's own."""
        self._sequence += 1
        self.write(ENQUIRE_LINK, ROK, self._sequence)

    def deliver(self, delivery: Delivery) -> None:
        self._sequence += 1
        delivery.times += 1
        self._unconfirmed[self._sequence] = delivery
        self.write(DELIVER_SM, ROK, self._sequence, delivery.body)

    def confirmed(self, sequence: int, status: int) -> None:
        delivery = self._unconfirmed.pop(sequence)
        if not delivery.status.done():
            delivery.status.set_result(status)

    def lost(self) -> None:
        self._smsc._undelivered.extend(self._unconfirmed.values())
        self._unconfirmed.clear()


def _pdu(command: int, status: int, sequence: int, body: bytes) -> bytes:
    return struct.pack(">4I", 16 + len(body), command, status, sequence) + body


def _sm(
    source: tuple[int, int, str],
    destination: tuple[int, int, str],
    esm_class: int,
    data_coding: int,
    text: bytes,
) -> bytes:
    addresses = b"".join(bytes((ton, npi)) + who.encode() + b"\0" for ton, npi, who in (source, destination))
    return b"\0" + addresses + bytes((esm_class, 0, 0, 0, 0, 0, 0, data_coding, 0, len(text))) + text


def _entry(body: bytes, connection: int) -> Entry:
    _, body = body.split(b"\0", 1)
    source, body = body[2:].split(b"\0", 1)
    destination, body = body[2:].split(b"\0", 1)
    esm_class = body[0]
    _, _, body = body[3:].split(b"\0", 2)
    registered_delivery, _, data_coding, _, length = body[:5]
    assert len(body) == 5 + length, "sm_length"
    return Entry(
        connection,
        source.decode(),
        destination.decode(),
        esm_class,
        data_coding,
        registered_delivery,
        body[5:],
        ROK,
    )


@contextlib.asynccontextmanager
async def serving(smsc: Smsc, tls: ssl.SSLContext | None = None) -> AsyncIterator[Smsc]:
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await smsc.serve(reader, writer)

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    smsc.port = server.sockets[0].getsockname()[1]
    try:
        yield smsc
    finally:
        server.close()
        for link in smsc.links:
            link.writer.transport.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=20)
