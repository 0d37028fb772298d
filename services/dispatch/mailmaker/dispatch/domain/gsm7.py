"""dispatch.domain: a text as SMS: alphabet, units, parts (3GPP TS 23.038 sections 6.2.1 and 6.2.3, TS 23.040; SMS-3).

One part carries 140 octets: 160 septets or 70 UTF-16 units. Of several parts each gives 6 octets to the header that
joins them (pdu.concatenated) and keeps 153 or 67. Payloads are what SMPP wants in `short_message`: GSM-7 unpacked, one
septet an octet (data_coding 0: the SMSC packs them), or UTF-16 big-endian (data_coding 8).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Literal

Encoding = Literal["gsm7", "ucs2"]

MOST_PARTS = 255
"""One octet counts the parts."""

_ESCAPE = 0x1B
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
# The escape itself is no character one can write.
_SEPTETS = {ord(c): chr(code) for code, c in enumerate(_BASIC) if code != _ESCAPE} | {
    ord(c): chr(_ESCAPE) + chr(code) for c, code in _EXTENSION.items()
}
_EXTENDED = {code: c for c, code in _EXTENSION.items()}
_IN_ALPHABET = re.compile("[" + re.escape("".join(map(chr, _SEPTETS))) + "]*")

SINGLE = {"gsm7": 160, "ucs2": 70}
JOINED = {"gsm7": 153, "ucs2": 67}
DATA_CODING = {"gsm7": 0, "ucs2": 8}

# What word processors and keyboards of phones write, and what it looks like in GSM-7.
_LOOK_ALIKES = (
    dict.fromkeys("‘’‚‛′ʼ`´‹›", "'")
    | dict.fromkeys("“”„‟″«»", '"')
    | dict.fromkeys("‐‑‒–—―−\u2043", "-")
    | dict.fromkeys("\t\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " ")
    | dict.fromkeys("\u2028\u2029\u0085", "\n")
    | dict.fromkeys("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff", "")
    | {"…": "...", "•": "*", "·": ".", "⁄": "/", "ﬁ": "fi", "ﬂ": "fl", "ﬀ": "ff", "ﬃ": "ffi", "ﬄ": "ffl"}
)
_PIECE = re.compile("[^\u0300-\u036f][\u0300-\u036f]*|[\u0300-\u036f]+", re.DOTALL)


class Unsendable(ValueError):
    """A text no SMS can carry: it has half of a surrogate pair, or more than 255 parts."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How a text goes: `units` are septets or UTF-16 units in all, `per_part` what one part holds, `left` what the last
    part still holds. The parts may hold more than the units need: a pair that does not fit begins the next part."""

    encoding: Encoding
    units: int
    parts: int
    per_part: int
    left: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """What was written, what stands there now (nothing, for what cannot be seen), how often."""

    found: str
    by: str
    times: int


@dataclass(frozen=True, slots=True)
class Gentle:
    """A text and what was replaced in it. `obstacles`: what keeps it out of GSM-7; then nothing was replaced."""

    text: str
    replaced: tuple[Replaced, ...]
    obstacles: tuple[str, ...]


def encoding_of(text: str) -> Encoding:
    """GSM-7 when every character is in its tables, else UCS-2."""
    return "gsm7" if _IN_ALPHABET.fullmatch(text) else "ucs2"


def measure(text: str) -> Measure:
    """Units and parts, before anything is sent. More than 255 parts are measured, too. Raises Unsendable."""
    encoding, payload, width = _encoded(text)
    units = len(payload) // width
    if units <= SINGLE[encoding]:
        return Measure(encoding, units, 1, SINGLE[encoding], SINGLE[encoding] - units)
    cuts = _cuts(encoding, payload)
    last = (len(payload) - cuts[-1]) // width
    return Measure(encoding, units, len(cuts), JOINED[encoding], JOINED[encoding] - last)


def parts(text: str) -> tuple[bytes, ...]:
    """The payload of each part, without header. No pair is split: neither an escape's nor a surrogate's. An empty text
    is one empty part. Raises Unsendable."""
    encoding, payload, width = _encoded(text)
    if len(payload) // width <= SINGLE[encoding]:
        return (payload,)
    cuts = _cuts(encoding, payload)
    if len(cuts) > MOST_PARTS:
        raise Unsendable(f"{len(cuts)} parts; an SMS has at most {MOST_PARTS}")
    return tuple(payload[a:b] for a, b in zip(cuts, [*cuts[1:], len(payload)], strict=True))


def text_of(payload: bytes, data_coding: int) -> str:
    """The text of a received payload, for any octets: 8 is UTF-16, 1 and 3 are Latin-1, all else is read as GSM-7.

    As TS 23.038 section 6.2.1.1 asks of a phone: a pair that the extension table does not have shows the basic table's
    character, an escaped escape a blank. An octet that is no septet becomes U+FFFD.
    """
    if data_coding == 8:
        return payload.decode("utf-16-be", "replace")
    if data_coding in (1, 3):
        return payload.decode("latin-1")
    said: list[str] = []
    escaped = False
    for code in payload:
        if code == _ESCAPE:
            if escaped:
                said.append(" ")
            escaped = not escaped
            continue
        basic = _BASIC[code] if code < 0x80 else "\ufffd"
        said.append(_EXTENDED.get(code, basic) if escaped else basic)
        escaped = False
    return "".join(said)


def gently(text: str) -> Gentle:
    """The text with typographic quotes, dashes, blanks and the like as GSM-7 has them, and letters composed (a + grave
    is à). Only if that brings the whole text into GSM-7: otherwise it stays as written, and says what is in the way.
    """
    made: list[str] = []
    replaced: Counter[tuple[str, str]] = Counter()
    obstacles: dict[str, None] = {}
    for piece in _PIECE.findall(text):
        by = piece if encoding_of(piece) == "gsm7" else _look_alike(piece)
        if by is None:
            obstacles[piece] = None
        elif by != piece:
            replaced[piece, by] += 1
            made.append(by)
        else:
            made.append(piece)
    if obstacles:
        return Gentle(text, (), tuple(obstacles))
    return Gentle("".join(made), tuple(Replaced(*what, n) for what, n in replaced.items()), ())


def _look_alike(piece: str) -> str | None:
    by = _LOOK_ALIKES.get(piece)
    if by is None:
        by = unicodedata.normalize("NFC", piece)
    return by if encoding_of(by) == "gsm7" else None


def _encoded(text: str) -> tuple[Encoding, bytes, int]:
    """Encoding, payload, octets a unit."""
    if _IN_ALPHABET.fullmatch(text):
        return "gsm7", text.translate(_SEPTETS).encode("latin-1"), 1
    try:
        return "ucs2", text.encode("utf-16-be"), 2
    except UnicodeEncodeError as wrong:
        raise Unsendable("half of a surrogate pair") from wrong


def _cuts(encoding: Encoding, payload: bytes) -> list[int]:
    """Where each part begins. The first half of a pair never ends a part: it begins the next."""
    width = 1 if encoding == "gsm7" else 2
    step = JOINED[encoding] * width
    cuts = [0]
    while len(payload) - cuts[-1] > step:
        end = cuts[-1] + step
        first = payload[end - width]
        if (first == _ESCAPE) if encoding == "gsm7" else (0xD8 <= first <= 0xDB):
            end -= width
        cuts.append(end)
    return cuts
