"""dispatch.domain: header values as bytes that no recipient's name can break (RFC 5322, RFC 2047)."""

from __future__ import annotations

import base64
import re

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_TOKENS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_WORD_BYTES = 45
"""Of UTF-8 in one encoded word: 60 characters of base64, within the 75 that RFC 2047 section 2 allows."""
_FOLD_AT = 76


class UnsafeHeader(ValueError):
    """A value that would end its header or hide in it: C0, C1, NUL, CR, LF, or a lone surrogate."""


def safe(value: str) -> str:
    """The value, if it holds no control character. Tabs become spaces."""
    if _CONTROLS.search(value):
        raise UnsafeHeader("a header value holds a control character")
    return value.replace("\t", " ")


def unstructured(value: str, used: int = 0) -> bytes:
    """A Subject-like value: plain where it can be, RFC 2047 words where it must, folded. `used`: the name's length."""
    text = safe(value).strip()
    if text.isascii() and "=?" not in text:
        return _folded_plain(text, used)
    return b"\r\n ".join(_words(text))


def phrase(name: str) -> bytes:
    """A display name: atoms, a quoted string, or encoded words."""
    text = safe(name).strip()
    if not text.isascii() or "=?" in text:
        return b"\r\n ".join(_words(text))
    if _TOKENS.match(text):
        return text.encode()
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def mailbox(name: str, address: str) -> bytes:
    """`Name <address>`, or the address alone."""
    spec = safe(address).encode("ascii")
    return phrase(name) + b" <" + spec + b">" if name.strip() else spec


def _words(text: str) -> list[bytes]:
    """Encoded words of whole characters: a word never ends inside one (RFC 2047 section 5)."""
    try:
        whole = text.encode()
    except UnicodeEncodeError as wrong:
        raise UnsafeHeader("a header value holds a lone surrogate") from wrong
    if len(whole) <= _WORD_BYTES:
        return [b"=?utf-8?B?" + base64.b64encode(whole) + b"?="]
    words, piece = [], b""
    for character in text:
        encoded = character.encode()
        if len(piece) + len(encoded) > _WORD_BYTES:
            words.append(piece)
            piece = b""
        piece += encoded
    words.append(piece)
    return [b"=?utf-8?B?" + base64.b64encode(word) + b"?=" for word in words]


def _folded_plain(text: str, used: int) -> bytes:
    """Folds before single spaces; what plain folding would change or leave too long goes into encoded words."""
    if used + len(text) <= _FOLD_AT:
        return text.encode()
    words = text.split(" ")
    if any(not 0 < len(word) <= 900 for word in words):
        return b"\r\n ".join(_words(text))
    lines, room = [words[0]], _FOLD_AT - used
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
            room = _FOLD_AT - 1
    return "\r\n ".join(lines).encode()
