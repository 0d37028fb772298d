"""dispatch.sms: the PDUs of SMPP 3.4 that we speak (sections 4 and 5), as values.

A value does not know its sequence number: that is the connection's. Optional parameters are kept as they came, known or
not. Strings are Latin-1, so any octet survives; their largest sizes are the specification's, with the closing NUL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

RECEIPTED_MESSAGE_ID = 0x001E
NETWORK_ERROR_CODE = 0x0423
MESSAGE_PAYLOAD = 0x0424
MESSAGE_STATE = 0x0427

UDH_INDICATOR = 0x40
"""In esm_class: the message begins with a user data header."""
RECEIPT_WANTED = 0x01
"""In registered_delivery: a receipt of the final outcome, good or bad."""
VERSION_34 = 0x34

TON_INTERNATIONAL, TON_ALPHANUMERIC, TON_UNKNOWN = 1, 5, 0
NPI_ISDN, NPI_UNKNOWN = 1, 0


@dataclass(frozen=True, slots=True)
class Tlv:
    """An optional parameter."""

    tag: int
    value: bytes


def found(tlvs: tuple[Tlv, ...], tag: int) -> bytes | None:
    """The value of the first with this tag."""
    return next((tlv.value for tlv in tlvs if tlv.tag == tag), None)


@dataclass(frozen=True, slots=True)
class Address:
    """Type of number, numbering plan, and the number (digits without a plus) or the alphanumeric sender."""

    ton: int
    npi: int
    number: str


NOWHERE = Address(TON_UNKNOWN, NPI_UNKNOWN, "")


@dataclass(frozen=True, slots=True)
class BindTransceiver:
    """`password`: at most 8 characters, by the specification."""

    command: ClassVar[int] = 0x00000009
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    interface_version: int = VERSION_34
    address_range: Address = NOWHERE


@dataclass(frozen=True, slots=True)
class BindTransceiverResp:
    command: ClassVar[int] = 0x80000009
    status: int = 0
    system_id: str = ""
    tlvs: tuple[Tlv, ...] = ()


@dataclass(frozen=True, slots=True)
class ShortMessage:
    """What submit_sm and deliver_sm have in common. Times are the specification's (section 7.1.1), or empty."""

    source: Address
    destination: Address
    short_message: bytes = b""
    esm_class: int = 0
    data_coding: int = 0
    registered_delivery: int = 0
    service_type: str = ""
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    replace_if_present_flag: int = 0
    sm_default_msg_id: int = 0
    tlvs: tuple[Tlv, ...] = ()

    @property
    def user_data(self) -> bytes:
        """The message without its user data header, wherever it stands (short_message or message_payload)."""
        data = self.short_message or found(self.tlvs, MESSAGE_PAYLOAD) or b""
        return data[1 + data[0] :] if data and self.esm_class & UDH_INDICATOR else data


@dataclass(frozen=True, slots=True)
class SubmitSm(ShortMessage):
    command: ClassVar[int] = 0x00000004


@dataclass(frozen=True, slots=True)
class DeliverSm(ShortMessage):
    command: ClassVar[int] = 0x00000005


@dataclass(frozen=True, slots=True)
class SubmitSmResp:
    command: ClassVar[int] = 0x80000004
    status: int = 0
    message_id: str = ""
    tlvs: tuple[Tlv, ...] = ()


@dataclass(frozen=True, slots=True)
class DeliverSmResp:
    """Its message_id is unused (section 4.6.2)."""

    command: ClassVar[int] = 0x80000005
    status: int = 0
    message_id: str = ""
    tlvs: tuple[Tlv, ...] = ()


@dataclass(frozen=True, slots=True)
class EnquireLink:
    command: ClassVar[int] = 0x00000015


@dataclass(frozen=True, slots=True)
class EnquireLinkResp:
    command: ClassVar[int] = 0x80000015
    status: int = 0


@dataclass(frozen=True, slots=True)
class Unbind:
    command: ClassVar[int] = 0x00000006


@dataclass(frozen=True, slots=True)
class UnbindResp:
    command: ClassVar[int] = 0x80000006
    status: int = 0


@dataclass(frozen=True, slots=True)
class GenericNack:
    """A PDU was not understood; its sequence number says which, 0 when not even that could be read."""

    command: ClassVar[int] = 0x80000000
    status: int = 0


Request = BindTransceiver | SubmitSm | DeliverSm | EnquireLink | Unbind
Response = BindTransceiverResp | SubmitSmResp | DeliverSmResp | EnquireLinkResp | UnbindResp | GenericNack
Pdu = Request | Response


def concatenated(payloads: tuple[bytes, ...], reference: int) -> tuple[bytes, ...]:
    """The parts of one message, each with the header that joins them (TS 23.040 section 9.2.3.24.1): 05 00 03, the
    reference modulo 256, how many, which. They go with UDH_INDICATOR in esm_class. One part alone has no header.

    The reference has 8 bits: 16 would take a seventh octet, and a part 152 septets instead of 153. Messages from one
    sender to one recipient that are under way together need different references.
    """
    if len(payloads) == 1:
        return payloads
    head = bytes((5, 0, 3, reference & 0xFF))
    return tuple(head + bytes((len(payloads), n)) + part for n, part in enumerate(payloads, 1))
