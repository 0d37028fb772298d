"""dispatch.render: text parts in quoted-printable (RFC 2045 section 6.7): 7-bit, short lines, CRLF, whatever comes in.

The constant pieces of a template are encoded once. A value stands between soft line breaks, so no line's length
depends on a recipient.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any

from mailmaker.dispatch.render.text import Slot, Text

_SOFT = b"=\r\n"
_SHORT = 60


class Part:
    """One text part of a mail."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._pieces: list[bytes | Slot] | None = None
        if text.pieces is not None:
            self._pieces = [encoded(piece) if isinstance(piece, str) else piece for piece in text.pieces]

    def render(self, values: Mapping[str, Any]) -> bytes:
        """The part's body for one recipient, ending in CRLF. Raises TemplateFault."""
        if self._pieces is None:
            return encoded(self._text.render(values)) + b"\r\n"
        out: list[bytes] = []
        for piece in self._pieces:
            if type(piece) is bytes:
                out.append(piece)
                continue
            shown = piece.shown(values)  # type: ignore[union-attr]
            if not shown:
                continue
            out.append(_SOFT)
            if shown.isalnum() and shown.isascii() and len(shown) <= _SHORT:
                out.append(shown.encode())
            else:
                out.append(encoded(shown))
            out.append(_SOFT)
        out.append(b"\r\n")
        return b"".join(out)


def encoded(text: str) -> bytes:
    """Quoted-printable of a text. Line ends of any kind become CRLF; lone surrogates become question marks."""
    unix = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    return binascii.b2a_qp(unix, istext=True).replace(b"\n", b"\r\n")
