"""dispatch.sms: PDUs from and to octets (SMPP 3.4 sections 3.2 and 4): strict, and bounded at 64 KiB.

Its faults say what may be done about them: after BadFrame the stream is lost; after UnknownCommand or BadBody the next
PDU can be read. None of them is raised for a value that `encode` made.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from mailmaker.dispatch.sms import pdu as p

MOST = 65_536
_HEADER = struct.Struct(">IIII")
_TLV = struct.Struct(">HH")


class BadPdu(ValueError):
    """Octets that are no PDU of ours. `sequence` is 0 when it could not be read."""

    def __init__(self, why: str, command: int = 0, sequence: int = 0) -> None:
        super().__init__(why)
        self.command = command
        self.sequence = sequence


class BadFrame(BadPdu):
    """A command_length below 16 or above 64 KiB, or not that of the octets: where the next PDU begins is unknown."""


class UnknownCommand(BadPdu):
    """A command_id we do not speak."""


class BadBody(BadPdu):
    """A body that ends too early or too late, or a string without end."""


class Unencodable(ValueError):
    """A value that does not fit its field."""


class Frames:
    """Cuts a stream into PDUs. Keeps less than one of them."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Each whole PDU. Raises BadFrame as soon as a length cannot be true; what came before it has been given."""
        data = self._rest + data
        self._rest = b""
        at = 0
        while len(data) - at >= 4:
            length = int.from_bytes(data[at : at + 4], "big")
            if not _HEADER.size <= length <= MOST:
                raise BadFrame(f"command_length {length}")
            if len(data) - at < length:
                break
            yield data[at : at + length]
            at += length
        self._rest = data[at:]


def decode(frame: bytes) -> tuple[int, p.Pdu]:
    """Sequence number and value of one whole PDU. Raises BadPdu."""
    if len(frame) < _HEADER.size:
        raise BadFrame("shorter than a header")
    length, command, status, sequence = _HEADER.unpack_from(frame)
    if length != len(frame) or length > MOST:
        raise BadFrame(f"command_length {length} of {len(frame)} octets")
    read = _BODIES.get(command)
    if read is None:
        raise UnknownCommand(f"command_id 0x{command:08X}", command, sequence)
    body = _Body(frame)
    try:
        value = read(status, body)
        body.end()
    except (IndexError, ValueError) as wrong:
        raise BadBody(str(wrong), command, sequence) from wrong
    return sequence, value


def encode(value: p.Pdu, sequence: int) -> bytes:
    """The PDU on the wire. Raises Unencodable."""
    body = _written(value)
    status = 0 if isinstance(value, p.Request) else value.status
    size = _HEADER.size + len(body)
    if size > MOST:
        raise Unencodable(f"a PDU of {size} octets")
    try:
        return _HEADER.pack(size, value.command, status, sequence) + body
    except struct.error as wrong:
        raise Unencodable(f"status {status}, sequence number {sequence}") from wrong


class _Body:
    """Reads the fields of a PDU in their order."""

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self._at = _HEADER.size

    @property
    def empty(self) -> bool:
        return self._at == len(self._frame)

    def octet(self) -> int:
        self._at += 1
        return self._frame[self._at - 1]

    def octets(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._frame):
            raise ValueError("the body ends too early")
        read, self._at = self._frame[self._at : end], end
        return read

    def string(self, size: int) -> str:
        end = self._frame.find(0, self._at, self._at + size)
        if end < 0:
            raise ValueError(f"a string without end in {size} octets")
        read, self._at = self._frame[self._at : end], end + 1
        return read.decode("latin-1")

    def address(self, size: int) -> p.Address:
        return p.Address(self.octet(), self.octet(), self.string(size))

    def tlvs(self) -> tuple[p.Tlv, ...]:
        read: list[p.Tlv] = []
        while not self.empty:
            tag, size = _TLV.unpack(self.octets(_TLV.size))
            read.append(p.Tlv(tag, self.octets(size)))
        return tuple(read)

    def end(self) -> None:
        if not self.empty:
            raise ValueError("the body ends too late")


def _short_message(kind: Callable[..., p.SubmitSm | p.DeliverSm], b: _Body) -> p.SubmitSm | p.DeliverSm:
    service_type = b.string(6)
    return kind(
        service_type=service_type,
        source=b.address(21),
        destination=b.address(21),
        esm_class=b.octet(),
        protocol_id=b.octet(),
        priority_flag=b.octet(),
        schedule_delivery_time=b.string(17),
        validity_period=b.string(17),
        registered_delivery=b.octet(),
        replace_if_present_flag=b.octet(),
        data_coding=b.octet(),
        sm_default_msg_id=b.octet(),
        short_message=b.octets(b.octet()),
        tlvs=b.tlvs(),
    )


def _bind(b: _Body) -> p.BindTransceiver:
    return p.BindTransceiver(b.string(16), b.string(9), b.string(13), b.octet(), b.address(41))


def _id(b: _Body, size: int) -> str:
    # Without a body when the status is an error (section 4.4.2), and some SMSCs leave it out of a yes.
    return "" if b.empty else b.string(size)


_BODIES: dict[int, Callable[[int, _Body], p.Pdu]] = {
    p.BindTransceiver.command: lambda _, b: _bind(b),
    p.BindTransceiverResp.command: lambda s, b: p.BindTransceiverResp(s, _id(b, 16), b.tlvs()),
    p.SubmitSm.command: lambda _, b: _short_message(p.SubmitSm, b),
    p.SubmitSmResp.command: lambda s, b: p.SubmitSmResp(s, _id(b, 65), b.tlvs()),
    p.DeliverSm.command: lambda _, b: _short_message(p.DeliverSm, b),
    p.DeliverSmResp.command: lambda s, b: p.DeliverSmResp(s, _id(b, 65), b.tlvs()),
    p.EnquireLink.command: lambda _, b: p.EnquireLink(),
    p.EnquireLinkResp.command: lambda s, b: p.EnquireLinkResp(s),
    p.Unbind.command: lambda _, b: p.Unbind(),
    p.UnbindResp.command: lambda s, b: p.UnbindResp(s),
    p.GenericNack.command: lambda s, b: p.GenericNack(s),
}


def _written(value: p.Pdu) -> bytes:
    match value:
        case p.SubmitSm() | p.DeliverSm():
            return _message(value)
        case p.BindTransceiver():
            who = _string(value.system_id, 16) + _string(value.password, 9) + _string(value.system_type, 13)
            return who + _octets(value.interface_version) + _address(value.address_range, 41)
        case p.BindTransceiverResp():
            return _answer(value.status, value.system_id, 16, value.tlvs)
        case p.SubmitSmResp() | p.DeliverSmResp():
            return _answer(value.status, value.message_id, 65, value.tlvs)
        case _:
            return b""


def _message(m: p.ShortMessage) -> bytes:
    if len(m.short_message) > 254:
        raise Unencodable(f"a short_message of {len(m.short_message)} octets")
    return b"".join(
        (
            _string(m.service_type, 6),
            _address(m.source, 21),
            _address(m.destination, 21),
            _octets(m.esm_class, m.protocol_id, m.priority_flag),
            _string(m.schedule_delivery_time, 17),
            _string(m.validity_period, 17),
            _octets(m.registered_delivery, m.replace_if_present_flag, m.data_coding, m.sm_default_msg_id),
            _octets(len(m.short_message)),
            m.short_message,
            _tlvs(m.tlvs),
        )
    )


def _answer(status: int, name: str, size: int, tlvs: tuple[p.Tlv, ...]) -> bytes:
    return b"" if status and not name and not tlvs else _string(name, size) + _tlvs(tlvs)


def _string(value: str, size: int) -> bytes:
    try:
        said = value.encode("latin-1")
    except UnicodeEncodeError as wrong:
        raise Unencodable("a string that is not Latin-1") from wrong
    if len(said) >= size or 0 in said:
        raise Unencodable(f"a string of {len(said)} octets where {size - 1} fit, or with a NUL")
    return said + b"\0"


def _octets(*values: int) -> bytes:
    try:
        return bytes(values)
    except ValueError as wrong:
        raise Unencodable("a number that is no octet") from wrong


def _address(value: p.Address, size: int) -> bytes:
    return _octets(value.ton, value.npi) + _string(value.number, size)


def _tlvs(tlvs: tuple[p.Tlv, ...]) -> bytes:
    try:
        return b"".join(_TLV.pack(tlv.tag, len(tlv.value)) + tlv.value for tlv in tlvs)
    except struct.error as wrong:
        raise Unencodable("an optional parameter too large") from wrong
