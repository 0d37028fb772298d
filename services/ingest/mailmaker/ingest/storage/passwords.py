"""ingest.storage.passwords: passwords at rest: scrypt, a salt each."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

_N, _R, _P = 1 << 15, 8, 1
_MEMORY = 64 << 20
_SCHEME = "scrypt"


def hashed(password: str) -> str:
    """What is stored. About 0.1 s and 32 MiB: for worker threads, few at a time."""
    salt = os.urandom(16)
    return "$".join(
        (_SCHEME, str(_N), str(_R), str(_P), _text(salt), _text(_digest(password, salt, _N, _R, _P)))
    )


def is_right(password: str, stored: str) -> bool:
    """Whether a password is the stored one; as slow as `hashed`."""
    _, n, r, p, salt, digest = stored.split("$")
    found = _digest(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(found, base64.b64decode(digest))


def _digest(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


NOBODYS = "$".join((_SCHEME, str(_N), str(_R), str(_P), _text(bytes(16)), _text(bytes(32))))
"""Looked at where there is no such user, so that the answer takes as long."""
