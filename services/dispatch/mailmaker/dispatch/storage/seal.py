"""dispatch.storage: how DKIM private keys rest in the database: sealed, and useless in another row."""

from __future__ import annotations

from mailmaker.common.storage.seal import Seal as KeySeal
from mailmaker.common.storage.seal import Unsealable


class Seal(KeySeal):
    """Under MAILMAKER_DISPATCH_SIGNING_SECRET; a sealed key is bound to its domain."""

    def __init__(self, secret: str) -> None:
        super().__init__(secret, "dkim keys v1")


__all__ = ["Seal", "Unsealable"]
