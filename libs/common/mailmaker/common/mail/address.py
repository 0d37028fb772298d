"""common.mail.address: the one place that says how an address or a mobile number is written, and its key.

Golden outputs (tests/unit/common/test_address.py) are frozen within KEY_VERSION: address keys, tombstones and
suppressions made from them must be found for ever.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Literal
from uuid import UUID

import idna
import phonenumbers
from email_validator import EmailNotValidError, validate_email

Channel = Literal["email", "sms"]

KEY_VERSION = 1
_BLOCK = 64
_INNER = bytes(n ^ 0x36 for n in range(256))
_OUTER = bytes(n ^ 0x5C for n in range(256))
_PLAIN = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?=[^@]{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}\Z"
)


class InvalidAddress(ValueError):
    """The text is not one address we would write in RCPT TO. `code` is stable; the text itself is never repeated."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def canonical_address(text: str) -> str:
    """The address as it is stored, suppressed, counted and written in RCPT TO.

    The domain becomes lower-case A-labels (RFC 5890), the local part keeps its case (RFC 5321 section 2.4).
    Raises InvalidAddress for display names, comments, quoted or non-ASCII local parts, address literals and controls.
    """
    if _PLAIN.match(text) and text.index("@") <= 64 and "xn--" not in text and "--" not in text:
        return text
    stripped = text.strip(" \t")
    if not stripped:
        raise InvalidAddress("address.empty", "no address")
    try:
        found = validate_email(
            stripped,
            check_deliverability=False,
            allow_smtputf8=False,
            allow_domain_literal=False,
            globally_deliverable=False,
            # Else `X.TEST` would be refused where `x.test` is taken as plain: one name, two answers.
            test_environment=True,
        )
        domain = idna.encode(found.domain, uts46=True).decode().lower()
    except (EmailNotValidError, idna.IDNAError, UnicodeError) as wrong:
        raise InvalidAddress("address.invalid", "not one plain e-mail address") from wrong
    if "." not in domain or domain.rpartition(".")[2].isdigit():
        raise InvalidAddress("address.domain", "not a domain name")
    local = found.ascii_local_part or found.local_part
    if len(local) > 64 or len(local) + 1 + len(domain) > 254:
        raise InvalidAddress(
            "address.long", "local part over 64 or address over 254 octets (RFC 5321 section 4.5.3.1)"
        )
    return f"{local}@{domain}"


def canonical_mobile(text: str, country: str) -> str:
    """A mobile number in E.164. `country` (ISO 3166) reads numbers without a prefix. Raises InvalidAddress."""
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as wrong:
        raise InvalidAddress("mobile.invalid", "not a telephone number") from wrong
    kind = phonenumbers.number_type(number)
    mobile = phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE
    if kind not in mobile:
        raise InvalidAddress("mobile.not_mobile", "not a mobile number")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def folded(address: str) -> str:
    """How addresses are compared: uniqueness and keys ignore the local part's case; dots and plus tags count."""
    return address.casefold()


def address_key(pepper: bytes, account_id: UUID, channel: Channel, canonical: str) -> bytes:
    """33 bytes: the version, then HMAC-SHA256(pepper, account, channel, folded canonical address)."""
    text = b"\0".join((account_id.bytes, channel.encode(), folded(canonical).encode()))
    return bytes((KEY_VERSION,)) + hmac.digest(pepper, text, hashlib.sha256)


def address_keyer(pepper: bytes, account_id: UUID, channel: Channel) -> Callable[[bytes], bytes]:
    """address_key() for many folded canonical addresses in UTF-8, in half its time: what all of them share of HMAC's two
    hashes (RFC 2104 section 2) is joined once."""
    sha256 = hashlib.sha256
    block = (sha256(pepper).digest() if len(pepper) > _BLOCK else pepper).ljust(_BLOCK, b"\0")
    inner = block.translate(_INNER) + b"\0".join((account_id.bytes, channel.encode(), b""))
    outer = block.translate(_OUTER)
    version = bytes((KEY_VERSION,))
    return lambda address: version + sha256(outer + sha256(inner + address).digest()).digest()


def pepper_check(pepper: bytes) -> str:
    """A check value every schema and internal hand-shake carries, so that two peppers never meet unnoticed."""
    return hmac.digest(pepper, b"mailmaker pepper check", hashlib.sha256).hex()[:16]
