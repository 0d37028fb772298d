"""dispatch.sms: delivery receipts, told in text (SMPP 3.4 appendix B) or in optional parameters, as one value (SMS-4).

The text is each vendor's own: keys come in any order and case, dates with or without seconds, message ids padded or in
the other base than submit_sm_resp told them. What cannot be read is left out; only a receipt of nothing is a fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal

from mailmaker.dispatch.domain.gsm7 import text_of
from mailmaker.dispatch.sms.pdu import (
    MESSAGE_STATE,
    NETWORK_ERROR_CODE,
    RECEIPTED_MESSAGE_ID,
    DeliverSm,
    found,
)

State = Literal[
    "enroute", "delivered", "expired", "deleted", "undeliverable", "accepted", "unknown", "rejected"
]
Base = Literal["as_is", "decimal", "hex"]

# message_state (section 5.2.28); 0 and 9 are SMPP 5.0's SCHEDULED and SKIPPED.
_STATES: dict[int, State] = {
    0: "enroute",
    1: "enroute",
    2: "delivered",
    3: "expired",
    4: "deleted",
    5: "undeliverable",
    6: "accepted",
    7: "unknown",
    8: "rejected",
    9: "undeliverable",
}
# Vendors shorten them to seven letters, or do not; these letters tell them apart.
_WORDS: dict[str, State] = {
    "ENROU": "enroute",
    "BUFFE": "enroute",
    "SCHED": "enroute",
    "DELIV": "delivered",
    "EXPIR": "expired",
    "DELET": "deleted",
    "UNDEL": "undeliverable",
    "FAILE": "undeliverable",
    "SKIPP": "undeliverable",
    "ACCEP": "accepted",
    "REJEC": "rejected",
}
_KEYS = r"id|sub|dlvrd|submit[\s_]?date|done[\s_]?date|stat|err"
_FIELD = re.compile(rf"(?<!\S)({_KEYS}):[ ]*(?!(?:{_KEYS}|text):)(\S*)", re.IGNORECASE)
_TEXT = re.compile(r"(?<!\S)text:", re.IGNORECASE)
_DATES = ((10, "%y%m%d%H%M"), (12, "%y%m%d%H%M%S"), (12, "%Y%m%d%H%M"), (14, "%Y%m%d%H%M%S"))


class NoReceipt(ValueError):
    """A deliver_sm that claims to be a receipt and names no message."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message. `error` is the network's or the SMSC's own code, empty for none. `at`: when the SMSC
    says it happened, if it does. A message may have several receipts, in any order; `enroute` and `accepted` are not
    its last."""

    message_id: str
    state: State
    error: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Notation:
    """How a provider writes message ids: in submit_sm_resp (and receipted_message_id), in the text of receipts; and the
    time zone of its dates."""

    answers: Base = "as_is"
    receipts: Base = "as_is"
    zone: tzinfo = UTC


def message_key(message_id: str, base: Base) -> str:
    """The one form in which two notations of an id are equal.

    Numbers lose their padding and the case of their hex digits. With a base the id becomes a decimal number; one that
    is none in that base is taken as it is.
    """
    said = message_id.strip()
    if base != "as_is" and re.fullmatch(r"[0-9]{1,64}" if base == "decimal" else r"[0-9A-Fa-f]{1,64}", said):
        return str(int(said, 10 if base == "decimal" else 16))
    if re.fullmatch(r"[0-9A-Fa-f-]+", said):
        return said.lower().lstrip("0") or "0"
    return said


def is_receipt(sm: DeliverSm) -> bool:
    """By esm_class (an SMSC's receipt, or its notification on the way), or because it names the message it is about."""
    return sm.esm_class & 0x3C in (0x04, 0x20) or found(sm.tlvs, RECEIPTED_MESSAGE_ID) is not None


def receipt_of(sm: DeliverSm, notation: Notation) -> Receipt:
    """The receipt a deliver_sm carries; optional parameters count more than the text. Raises NoReceipt."""
    said = _fields(text_of(sm.user_data, sm.data_coding if sm.data_coding == 8 else 3))
    key = message_key(said.get("id", ""), notation.receipts)
    named = found(sm.tlvs, RECEIPTED_MESSAGE_ID)
    if named is not None and (name := named.split(b"\0")[0].decode("latin-1")):
        key = message_key(name, notation.answers)
    if not key:
        raise NoReceipt("a receipt that names no message")
    state = _WORDS.get(said.get("stat", "")[:5].upper(), "unknown")
    number = found(sm.tlvs, MESSAGE_STATE)
    if number:
        state = _STATES.get(number[0], "unknown")
    error = said.get("err", "")
    code = found(sm.tlvs, NETWORK_ERROR_CODE)
    if not error.strip("0"):
        error = f"{code[0]}/{int.from_bytes(code[1:], 'big')}" if code and len(code) == 3 else ""
    return Receipt(key, state, error, _date(said.get("donedate", ""), notation.zone))


def _fields(text: str) -> dict[str, str]:
    """What stands before the text: the text itself may say anything, and its key ends the receipt."""
    end = _TEXT.search(text)
    head = text[: end.start()] if end else text
    fields: dict[str, str] = {}
    for key, value in _FIELD.findall(head):
        fields.setdefault(re.sub(r"[\s_]", "", key).lower(), value)
    return fields


def _date(said: str, zone: tzinfo) -> datetime | None:
    if not (said.isascii() and said.isdigit()):
        return None
    # Digits are counted first: strptime alone would read fewer than the form has places for.
    for form in (form for size, form in _DATES if size == len(said)):
        try:
            return datetime.strptime(said, form).replace(tzinfo=zone)
        except ValueError:
            continue
    return None
