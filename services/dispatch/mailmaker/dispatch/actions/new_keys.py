"""dispatch.actions: makes the pair of DKIM keys that a domain signs with: RSA-2048, and Ed25519 beside it (RFC 8463)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from mailmaker.dispatch.domain.sending import DomainKey, KeyState

KEY_BITS = 2048
"""RFC 8301 section 3.2: signers use 2048 bits; longer keys do not fit where some clients keep their DNS."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: what is shown of it, and its private half as PEM, to be sealed and forgotten."""

    shown: DomainKey
    private: bytes


def new_rsa(selector: str, state: KeyState, now: datetime) -> NewKey:
    """A new RSA key. Takes as long as finding two primes does: run it in a thread."""
    key = generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    # RFC 6376 section 3.6.1.
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return NewKey(DomainKey(selector, "rsa", base64.b64encode(public).decode(), state, now), _pem(key))


def new_ed25519(beside: str, state: KeyState, now: datetime) -> NewKey:
    """A new Ed25519 key to stand beside the RSA key of this selector."""
    key = Ed25519PrivateKey.generate()
    # RFC 8463 section 4.2: the key's own 32 octets, without the wrapping that RSA's has.
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    return NewKey(DomainKey(f"{beside}-ed25519", "ed25519", public, state, now), _pem(key))


def _pem(key: RSAPrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
