"""ingest.readers.charset: which characters the bytes of a file are."""

from __future__ import annotations

import codecs
import unicodedata
from dataclasses import dataclass
from typing import BinaryIO

from mailmaker.ingest.readers.faults import Unreadable

HEAD = 1 << 16
SAMPLE = 1 << 15
CANDIDATES = ["utf_8", "utf_16", "cp1252", "mac_roman"]
"""Left free, the detector reads Italian cp1252 as cp1258 and corrupts names."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_STRANGE = frozenset("þÞðÐÿŸ¤¦¬¯¶¸×÷ƒ˜ˆ‡†‰¨¼½¾")


@dataclass(frozen=True, slots=True)
class Charset:
    """A codec, and how many bytes of the file's beginning are its mark."""

    codec: str
    skip: int = 0


def named(file: BinaryIO, name: str) -> Charset:
    """The charset a client names; a mark at the beginning is cut. Raises LookupError for a name nobody knows."""
    codec = codecs.lookup(name).name
    file.seek(0)
    head = file.read(4)
    for mark, marked in _BOMS:
        if head.startswith(mark) and (codec in marked or marked.startswith(codec)):
            return Charset(marked, len(mark))
    return Charset(codec)


def detect(file: BinaryIO, not_utf8_at: int | None) -> Charset:
    """By mark, then strict UTF-8, then statistics over the lines that are not ASCII.

    Raises Unreadable when nothing reads the file as plausible text: a wrong guess would corrupt names in silence.
    """
    file.seek(0)
    head = file.read(HEAD)
    for mark, codec in _BOMS:
        if head.startswith(mark):
            return Charset(codec, len(mark))
    if (wide := _unmarked_wide(head)) is not None:
        return Charset(wide)
    if not_utf8_at is None:
        return Charset("utf-8")
    # Loaded when it is needed: most files are UTF-8, and each is opened by a process of its own.
    from charset_normalizer import from_bytes

    file.seek(0)
    sample = _odd_lines(file)
    best = from_bytes(sample, cp_isolation=CANDIDATES, threshold=0.25).best()
    if best is None or not _plausible(str(best)):
        raise Unreadable(
            "encoding.unknown",
            "these bytes are not UTF-8, nor any encoding we can tell for sure; save the file as"
            " UTF-8, or name its encoding in the option `encoding`",
            not_utf8_at,
        )
    return Charset(best.encoding)


def _unmarked_wide(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: zero bytes, and always at the same places of a character."""
    if len(head) < 4 or head.count(0) * 3 < len(head):
        return None
    zeros = [head[place::4].count(0) * 4 / len(head) for place in range(4)]
    for codec, low, high in (("utf-32-le", 0, (1, 2, 3)), ("utf-32-be", 3, (0, 1, 2))):
        if min(zeros[place] for place in high) > 0.9 and zeros[low] < 0.1:
            return codec
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if odd > 8 * even:
        return "utf-16-le"
    return "utf-16-be" if even > 8 * odd else None


def _odd_lines(file: BinaryIO) -> bytes:
    """Up to SAMPLE bytes of lines that hold a byte over 127: the ASCII ones say nothing about the encoding."""
    found = bytearray()
    while len(found) < SAMPLE and (line := file.readline(HEAD)):
        if not line.isascii():
            found += line
    return bytes(found)


def _plausible(text: str) -> bool:
    """Whether the letters outside ASCII are those of names, streets and prices."""
    outside = [c for c in text if not c.isascii()]
    strange = sum(
        1 for c in outside if c in _STRANGE or unicodedata.category(c) in ("Cc", "Cn", "Co", "Cs", "Cf")
    )
    return strange * 10 <= len(outside)
