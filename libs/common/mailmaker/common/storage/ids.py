"""common.storage.ids: UUIDv7 made in Python (RFC 9562 section 5.7)."""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID

NOBODY = UUID(int=0)
"""The nil id: stands for "the whole account" in list columns and for "the platform" in account columns."""

_lock = threading.Lock()
_last = 0
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The two bits of RFC 9562 section 4.1 over a random digit."""


def new_id() -> UUID:
    """A new UUIDv7. Ids made by one process ascend: 48 bits of milliseconds, then a 12-bit count, then randomness."""
    stamp = _stamps(1)[0]
    millis, count = stamp >> 12, stamp & 0xFFF
    tail = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return UUID(int=(millis << 80) | (0x7 << 76) | (count << 64) | (0x2 << 62) | tail)


def new_ids(many: int) -> list[str]:
    """So many new UUIDv7 at once, ascending, as 32 hexadecimal digits: for streams of rows."""
    tails = os.urandom(8 * many).hex()
    return [
        f"{(text := f'{stamp:015x}')[:12]}7{text[12:]}{_VARIANT[tails[at]]}{tails[at + 1 : at + 16]}"
        for stamp, at in zip(_stamps(many), range(0, 16 * many, 16), strict=True)
    ]


def _stamps(many: int) -> range:
    """Milliseconds and count, for so many ids; nobody else's."""
    global _last
    with _lock:
        first = max((time.time_ns() // 1_000_000) << 12, _last + 1)
        _last = first + many - 1
    return range(first, first + many)
