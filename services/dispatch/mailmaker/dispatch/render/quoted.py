"""dispatch.render: text parts in quoted-printable (RFC 2045 section 6.7): 7-bit, short lines, CRLF, whatever comes in.

The constant pieces of a template are encoded once. A value stands between soft line breaks, so no line's length
depends on a recipient, and the form that DKIM hashes is known piece by piece: nobody looks through the whole body again.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mailmaker.dispatch.domain.relaxed import relaxed_lines, without_last_empty_lines
from mailmaker.dispatch.render.text import Slot, Text

_SOFT = b"=\r\n"
_SHORT = 60


class Body(NamedTuple):
    """A body, its relaxed form for DKIM, and whether any of its lines begins with a dot."""

    raw: bytes
    relaxed: bytes
    dotted: bool


_BREAK = Body(_SOFT, _SOFT, False)
_END = Body(b"\r\n", b"\r\n", False)


class Part:
    """One text part of a mail: pieces that are encoded once and places for values, or a text for the template engine."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.pieces: list[Body | Slot] | None = None
        if text.pieces is not None:
            self.pieces = [_piece(encoded(one)) if isinstance(one, str) else one for one in text.pieces]

    def engine(self, values: Mapping[str, Any]) -> Body:
        """Its body by the template engine, ending in CRLF."""
        return _piece(encoded(self.text.render(values)) + b"\r\n")


class Letter:
    """A mail's body: parts, and fixed bytes around them. What stands between two values is one piece.

    Each fixed piece begins a line, and so does each value: it stands between soft line breaks.
    """

    def __init__(self, body: Sequence[Part | bytes]) -> None:
        self._one_part = len(body) == 1
        self._pieces: list[tuple[Body, Slot | Part | None]] = []
        self._fixed: list[Body] = []
        for one in body:
            if isinstance(one, bytes):
                self._fixed.append(_piece(one))
            elif one.pieces is None:
                self._close(one)
            else:
                for piece in one.pieces:
                    if isinstance(piece, Slot):
                        self._fixed.append(_BREAK)
                        self._close(piece)
                    else:
                        self._fixed.append(piece)
                self._fixed.append(_END)
        self._close(None)

    def render(self, values: Mapping[str, Any]) -> Body:
        """The body for one recipient. Raises TemplateFault."""
        raws: list[bytes] = []
        forms: list[bytes] = []
        same, dotted = True, False
        known: dict[str, Body] = {}
        for (raw, form, dots), place in self._pieces:
            raws.append(raw)
            forms.append(form)
            same = same and form is raw
            dotted = dotted or dots
            if place is None:
                continue
            if isinstance(place, Part):
                raw, form, dots = place.engine(values)
            else:
                shown = place.shown(values)
                if not shown:
                    continue
                if len(shown) <= _SHORT and shown.isalnum() and shown.isascii():
                    raw = shown.encode() + _SOFT
                    raws.append(raw)
                    forms.append(raw)
                    continue
                found = known.get(shown)
                if found is None:
                    found = known[shown] = _joined((_piece(encoded(shown)), _BREAK))
                raw, form, dots = found
            raws.append(raw)
            forms.append(form)
            same = same and form is raw
            dotted = dotted or dots
        whole = b"".join(raws)
        relaxed = whole if same else b"".join(forms)
        return Body(whole, without_last_empty_lines(relaxed) if self._one_part else relaxed, dotted)

    def _close(self, place: Slot | Part | None) -> None:
        self._pieces.append((_joined(self._fixed), place))
        self._fixed = []


def _joined(pieces: Sequence[Body]) -> Body:
    raw = b"".join([piece.raw for piece in pieces])
    same = all(piece.relaxed is piece.raw for piece in pieces)
    form = raw if same else b"".join([piece.relaxed for piece in pieces])
    return Body(raw, form, any(piece.dotted for piece in pieces))


def _piece(raw: bytes) -> Body:
    """A piece that begins a line and is followed by a soft break or the part's last line end."""
    return Body(raw, relaxed_lines(raw), raw.startswith(b".") or b"\r\n." in raw)


def encoded(text: str) -> bytes:
    """Quoted-printable of a text. Line ends of any kind become CRLF; lone surrogates become question marks.

    The last character is never a blank (it is written =20): what is joined behind it makes no run of blanks.
    """
    unix = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    return binascii.b2a_qp(unix, istext=True).replace(b"\n", b"\r\n")
