"""dispatch.sms: a text as the submit_sm of its parts (SMS-3)."""

from __future__ import annotations

import re

from mailmaker.dispatch.domain.gsm7 import DATA_CODING, encoding_of, parts
from mailmaker.dispatch.sms.pdu import (
    NPI_ISDN,
    NPI_UNKNOWN,
    RECEIPT_WANTED,
    TON_ALPHANUMERIC,
    TON_INTERNATIONAL,
    TON_UNKNOWN,
    UDH_INDICATOR,
    Address,
    SubmitSm,
    concatenated,
)

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,8}")
_ALIAS = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 .&_-]{1,11}")


def recipient(number: str) -> Address:
    """An E.164 number with its plus. Raises ValueError."""
    if not _E164.fullmatch(number):
        raise ValueError("not an E.164 number")
    return Address(TON_INTERNATIONAL, NPI_ISDN, number[1:])


def sender(said: str) -> Address:
    """An E.164 number, a short code, or an alphanumeric sender of at most 11 characters. Raises ValueError."""
    if _SHORT_CODE.fullmatch(said):
        return Address(TON_UNKNOWN, NPI_UNKNOWN, said)
    if _ALIAS.fullmatch(said):
        return Address(TON_ALPHANUMERIC, NPI_UNKNOWN, said)
    return recipient(said)


def submissions(source: Address, destination: Address, text: str, reference: int) -> tuple[SubmitSm, ...]:
    """One submit_sm a part, each asking for a receipt. `reference` joins the parts (pdu.concatenated). Raises
    Unsendable."""
    payloads = parts(text)
    esm_class = UDH_INDICATOR if len(payloads) > 1 else 0
    data_coding = DATA_CODING[encoding_of(text)]
    return tuple(
        SubmitSm(
            source,
            destination,
            short_message,
            esm_class=esm_class,
            data_coding=data_coding,
            registered_delivery=RECEIPT_WANTED,
        )
        for short_message in concatenated(payloads, reference)
    )
