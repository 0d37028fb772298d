"""dispatch.render: text parts in quoted-printable (RFC 2045 section 6.7): 7-bit, short lines, CRLF, whatever comes in.

The constant pieces of a template are encoded once. A value stands between soft line breaks, so no line's length
depends on a recipient, and the form that DKIM hashes is known piece by piece: nobody looks through the whole body again.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple

from mailmaker.dispatch.domain.relaxed import relaxed_lines
from mailmaker.dispatch.render.text import Slot, Text

_SOFT = b"=\r\n"
_SHORT = 60


class Body(NamedTuple):
    """A body, its relaxed form for DKIM, and whether any of its lines begins with a dot."""

    raw: bytes
    relaxed: bytes
    dotted: bool


class Part:
    """One text part of a mail."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._pieces: list[Body | Slot] | None = None
        if text.pieces is not None:
            self._pieces = [_piece(encoded(one)) if isinstance(one, str) else one for one in text.pieces]

    def render(self, values: Mapping[str, Any]) -> Body:
        """The part's body for one recipient, ending in CRLF. Raises TemplateFault."""
        if self._pieces is None:
            raw = encoded(self._text.render(values)) + b"\r\n"
            return Body(raw, relaxed_lines(raw), raw.startswith(b".") or b"\r\n." in raw)
        raws: list[bytes] = []
        forms: list[bytes] = []
        same, dotted = True, False
        for piece in self._pieces:
            if isinstance(piece, Slot):
                shown = piece.shown(values)
                raws.append(_SOFT)
                forms.append(_SOFT)
                if not shown:
                    continue
                if len(shown) <= _SHORT and shown.isalnum() and shown.isascii():
                    plain = shown.encode()
                    raws += (plain, _SOFT)
                    forms += (plain, _SOFT)
                    continue
                raw, form, dots = _piece(encoded(shown))
                raws += (raw, _SOFT)
                forms += (form, _SOFT)
            else:
                raw, form, dots = piece
                raws.append(raw)
                forms.append(form)
            same = same and form is raw
            dotted = dotted or dots
        raws.append(b"\r\n")
        whole = b"".join(raws)
        if same:
            return Body(whole, whole, dotted)
        forms.append(b"\r\n")
        return Body(whole, b"".join(forms), dotted)


def _piece(raw: bytes) -> Body:
    """A piece that begins a line and is followed by a soft break or the part's last line end."""
    return Body(raw, relaxed_lines(raw), raw.startswith(b".") or b"\r\n." in raw)


def encoded(text: str) -> bytes:
    """Quoted-printable of a text. Line ends of any kind become CRLF; lone surrogates become question marks.

    The last character is never a blank (it is written =20): what is joined behind it makes no run of blanks.
    """
    unix = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    return binascii.b2a_qp(unix, istext=True).replace(b"\n", b"\r\n")
