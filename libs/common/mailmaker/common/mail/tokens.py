"""common.mail.tokens: the self-contained signed token of every mail (design section 4; RFC 8058 section 3.1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from mailmaker.common.mail import base32

LENGTH = 56
_MAC = 10


class Purpose(StrEnum):
    """What a token may be used for. A token minted for one purpose is unknown to every other."""

    UNSUBSCRIBE = "unsubscribe"
    MAIL_UNSUBSCRIBE = "mail-unsubscribe"
    BOUNCE = "bounce"
    MESSAGE_ID = "message-id"
    CFBL = "cfbl"
    X_HEADER = "x-header"


@dataclass(frozen=True, slots=True)
class Token:
    """Which mail to whom: the account's number, the mailing's number in it, and the contact."""

    account_number: int
    mailing_number: int
    contact_id: UUID


class Minted(NamedTuple):
    """The tokens of one mail, by purpose."""

    unsubscribe: str
    mail_unsubscribe: str
    bounce: str
    message_id: str
    cfbl: str
    x_header: str


class TokenKeys:
    """The keyring: mints with the newest key, reads with every key, for ever (a "no" never expires)."""

    def __init__(self, masters: Mapping[int, bytes]) -> None:
        if not masters or any(not 0 <= n <= 255 or len(k) < 32 for n, k in masters.items()):
            raise ValueError("token keys: at least one, ids 0 to 255, 32 bytes or more each")
        self._keys = {
            (n, purpose): hmac.digest(master, f"mailmaker token {purpose}".encode(), hashlib.sha256)
            for n, master in masters.items()
            for purpose in Purpose
        }
        self._newest = max(masters)
        self._newest_keys = [
            _Keyed(self._keys[self._newest, Purpose(name.replace("_", "-"))]) for name in Minted._fields
        ]

    @classmethod
    def from_setting(cls, text: str) -> TokenKeys:
        """Reads `1:<base64url>,2:<base64url>`; the highest id mints."""
        masters = {}
        for part in text.split(","):
            number, _, key = part.strip().partition(":")
            masters[int(number)] = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
        return cls(masters)

    def mint(self, purpose: Purpose, token: Token) -> str:
        """56 characters of lower-case base32: they survive case folding and fit a local part."""
        payload = self._payload(self._newest, token)
        mac = hmac.digest(self._keys[self._newest, purpose], payload, hashlib.sha256)[:_MAC]
        return base64.b32encode(payload + mac).decode().lower()

    def mint_all(self, token: Token) -> Minted:
        """One token of each purpose: for a mail, which carries them all. Encodes their common part once."""
        payload = self._payload(self._newest, token)
        macs = [key.digest(payload)[:_MAC] for key in self._newest_keys]
        text = base32.encode(b"".join((payload, *macs))).decode()
        head = text[:_HEAD]
        return Minted(*[head + text[at : at + LENGTH - _HEAD] for at in _TAILS])

    def read(self, purpose: Purpose, text: str) -> Token | None:
        """The token, or None for anything we did not mint for this purpose. Any case is read."""
        raw = _decoded(text)
        if raw is None:
            return None
        payload, mac = raw[:-_MAC], raw[-_MAC:]
        # An unknown key id is checked against the newest key, so that it costs the same as a forged one.
        key = self._keys.get((payload[0], purpose), self._keys[self._newest, purpose])
        if not hmac.compare_digest(hmac.digest(key, payload, hashlib.sha256)[:_MAC], mac):
            return None
        return Token(
            int.from_bytes(payload[1:5], "big"),
            int.from_bytes(payload[5:9], "big"),
            UUID(bytes=payload[9:25]),
        )

    @staticmethod
    def _payload(key_id: int, token: Token) -> bytes:
        return b"".join(
            (
                bytes((key_id,)),
                token.account_number.to_bytes(4, "big"),
                token.mailing_number.to_bytes(4, "big"),
                token.contact_id.bytes,
            )
        )


_HEAD = 40
"""Characters of the part that a mail's tokens share: 25 bytes."""
_TAILS = range(_HEAD, _HEAD + len(Minted._fields) * (LENGTH - _HEAD), LENGTH - _HEAD)


class _Keyed:
    """HMAC-SHA256 (RFC 2104) with one key, whose two first blocks are hashed once."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in block]))
        self._outer = hashlib.sha256(bytes([byte ^ 0x5C for byte in block]))

    def digest(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


@lru_cache(maxsize=1024)
def _decoded(text: str) -> bytes | None:
    if len(text) != LENGTH or not text.isascii():
        return None
    try:
        return base64.b32decode(text, casefold=True)
    except ValueError:
        return None
