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


def new_id() -> UUID:
    """A new UUIDv7. Ids made by one process ascend: 48 bits of milliseconds, then a 12-bit count, then randomness."""
    global _last
    with _lock:
        tick = (time.time_ns() // 1_000_000) << 12
        _last = max(tick, _last + 1)
        stamp = _last
    millis, count = stamp >> 12, stamp & 0xFFF
    tail = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return UUID(int=(millis << 80) | (0x7 << 76) | (count << 64) | (0x2 << 62) | tail)
