"""dispatch.storage: how DKIM private keys rest in the database: sealed, and useless in another row."""

from __future__ import annotations

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12


class Unsealable(RuntimeError):
    """The sealed key is not of this secret: MAILMAKER_DISPATCH_SIGNING_SECRET is not the one it was sealed with."""


class Seal:
    """AES-256-GCM under a key derived from the signing secret; bound to the domain it belongs to."""

    def __init__(self, secret: str) -> None:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"mailmaker dkim keys v1").derive(
            secret.encode()
        )
        self._cipher = AESGCM(derived)

    def close(self, private_key: bytes, account_id: UUID, domain_id: UUID) -> bytes:
        """The sealed key."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, private_key, account_id.bytes + domain_id.bytes)

    def open(self, sealed: bytes, account_id: UUID, domain_id: UUID) -> bytes:
        """The private key, PEM. Raises Unsealable."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], account_id.bytes + domain_id.bytes)
        except InvalidTag as wrong:
            raise Unsealable("the signing secret does not open this key") from wrong
