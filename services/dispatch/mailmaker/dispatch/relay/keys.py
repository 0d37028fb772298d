"""dispatch.relay: the private keys that sign for a domain, each with the algorithm it signs by (RFC 8301, RFC 8463)."""

from __future__ import annotations

import hashlib
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

MIN_BITS = 2048
_PADDING, _HASH = PKCS1v15(), SHA256()


class WeakKey(ValueError):
    """A key we do not sign with: of another kind than it should be, or RSA shorter than 2048 bits (RFC 8301 section 3.2)."""


class SigningKey(Protocol):
    """A private key. `selector` names the record that holds its public half, `algorithm` stands in `a=`."""

    @property
    def selector(self) -> str: ...
    @property
    def algorithm(self) -> str: ...

    def sign(self, text: bytes) -> bytes:
        """The signature of a text, as it stands in `b=` before base64."""
        ...


class RsaKey:
    """Signs by rsa-sha256. Safe in threads, and runs without the interpreter lock."""

    algorithm = "rsa-sha256"

    def __init__(self, selector: str, key: RSAPrivateKey) -> None:
        if key.key_size < MIN_BITS:
            raise WeakKey(f"RSA of {key.key_size} bits")
        self.selector = selector
        self._key = key

    @classmethod
    def from_pem(cls, selector: str, pem: bytes) -> RsaKey:
        """A key that we made and sealed ourselves: looking for its primes again would hold the event loop for long."""
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, RSAPrivateKey):
            raise WeakKey("not an RSA key")
        return cls(selector, key)

    def sign(self, text: bytes) -> bytes:
        return self._key.sign(text, _PADDING, _HASH)


class Ed25519Key:
    """Signs by ed25519-sha256: what PureEdDSA signs is the SHA-256 of the text (RFC 8463 section 3). Safe in threads."""

    algorithm = "ed25519-sha256"

    def __init__(self, selector: str, key: Ed25519PrivateKey) -> None:
        self.selector = selector
        self._key = key

    @classmethod
    def from_pem(cls, selector: str, pem: bytes) -> Ed25519Key:
        """A key as it is sealed."""
        key = load_pem_private_key(pem, None)
        if not isinstance(key, Ed25519PrivateKey):
            raise WeakKey("not an Ed25519 key")
        return cls(selector, key)

    def sign(self, text: bytes) -> bytes:
        return self._key.sign(hashlib.sha256(text).digest())
