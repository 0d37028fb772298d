"""common.mail.base32: lower-case base32 (RFC 4648 section 6) of bytes that need no padding, by the whole text at once.

The standard library's takes five bytes at a time. Here all groups of five bits are moved apart together until each
stands in six, and what writes six bits as a character is base64, which is written in C.
"""

from __future__ import annotations

import binascii
from functools import lru_cache

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
_BASE32 = b"abcdefghijklmnopqrstuvwxyz234567"
_LETTERS = bytes.maketrans(_BASE64, _BASE32)
# Base64 writes four characters from three bytes, base32 eight from five.
_FULL = 15


def encode(raw: bytes) -> bytes:
    """The characters, 8 for each 5 bytes. Raises ValueError for a length that is no multiple of 5."""
    if len(raw) % 5:
        raise ValueError("base32 without padding needs a multiple of 5 bytes")
    lacking = -len(raw) % _FULL
    number = int.from_bytes(raw, "big") << 8 * lacking
    for stay, move, by in _moves((len(raw) + lacking) * 8 // 5):
        number = number & stay | (number & move) << by
    wide = number.to_bytes((len(raw) + lacking) * 6 // 5, "big")
    return binascii.b2a_base64(wide, newline=False).translate(_LETTERS)[: len(raw) * 8 // 5]


@lru_cache(maxsize=64)
def _moves(groups: int) -> tuple[tuple[int, int, int], ...]:
    """How to move `groups` groups of five bits apart: halves first, then halves of halves. Each move says which bits
    stay, which move, and by how many bits: one for each group that stays below them."""
    size = 1 << (groups - 1).bit_length() if groups else 1
    moves, block = [], size
    while block > 1:
        half = block // 2
        places = range(0, size * 6, block * 6)
        low = (1 << half * 5) - 1
        moves.append(
            (sum(low << place for place in places), sum(low << place + half * 5 for place in places), half)
        )
        block = half
    return tuple(moves)
