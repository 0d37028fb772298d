"""common.storage.seal: how private keys rest in a database: sealed, and useless in another row."""

from __future__ import annotations

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12


class Unsealable(RuntimeError):
    """The sealed key is not of this secret: the house's setting is not the one it was sealed with."""


class Seal:
    """AES-256-GCM under a key derived from a secret for one purpose; bound to the thing the sealed key belongs to."""

    def __init__(self, secret: str, purpose: str) -> None:
        info = b"mailmaker " + purpose.encode()
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret.encode())
        self._cipher = AESGCM(derived)

    def close(self, private_key: bytes, account_id: UUID, thing_id: UUID) -> bytes:
        """The sealed key."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, private_key, account_id.bytes + thing_id.bytes)

    def open(self, sealed: bytes, account_id: UUID, thing_id: UUID) -> bytes:
        """The private key. Raises Unsealable."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], account_id.bytes + thing_id.bytes)
        except InvalidTag as wrong:
            raise Unsealable("the secret of the settings does not open this key") from wrong
