"""fbl.parse.mime: splits a mail into its parts, in one pass over the bytes, within limits (INB-4).

Written by hand because the standard library's parser repairs what it does not like; here every part keeps its own
bytes, so a report with a wrong encoding or a missing boundary is still read.
"""

from __future__ import annotations

import binascii
import quopri
import re
from dataclasses import dataclass
from email.message import Message

from mailmaker.fbl.parse.fields import Fields, read_fields


class Unreadable(Exception):
    """The mail breaks a limit. `code` is stable."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Limits:
    depth: int = 20
    parts: int = 200
    header: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One entity. `body` is decoded; `parts` are its own children, of multiparts and of enclosed messages."""

    kind: str
    fields: Fields
    body: bytes
    parts: tuple[Part, ...] = ()

    def walk(self) -> list[Part]:
        """This part and all below it, outermost first."""
        found = [self]
        for part in self.parts:
            found.extend(part.walk())
        return found

    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


_ENCLOSED = frozenset({"message/rfc822", "message/global", "message/news"})


def read_mail(raw: bytes, limits: Limits = Limits()) -> Part:
    """The mail as a tree of parts. Raises Unreadable."""
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    return _Reader(limits).entity(raw.replace(b"\r\n", b"\n"), 0)


class _Reader:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen = 0

    def entity(self, data: bytes, depth: int, default: str = "text/plain") -> Part:
        if depth > self._limits.depth:
            raise Unreadable("too_deep")
        self._seen += 1
        if self._seen > self._limits.parts:
            raise Unreadable("too_many_parts")
        head, body = _halves(data)
        if len(head) > self._limits.header:
            raise Unreadable("header_too_large")
        fields = read_fields(head)
        kind, boundary = _content_type(fields.first("content-type"), default)
        if boundary is not None:
            inner = "message/rfc822" if kind == "multipart/digest" else "text/plain"
            pieces = _split(body, boundary, self._limits.parts)
            if pieces:
                return Part(
                    kind, fields, b"", tuple(self.entity(piece, depth + 1, inner) for piece in pieces)
                )
        decoded = _decoded(body, fields.first("content-transfer-encoding") or "")
        if kind in _ENCLOSED:
            return Part(kind, fields, decoded, (self.entity(decoded.lstrip(b"\n"), depth + 1),))
        return Part(kind, fields, decoded)


def _halves(data: bytes) -> tuple[bytes, bytes]:
    if data.startswith(b"\n"):
        return b"", data[1:]
    end = data.find(b"\n\n")
    return (data, b"") if end < 0 else (data[: end + 1], data[end + 2 :])


def _content_type(value: str | None, default: str) -> tuple[str, bytes | None]:
    if not value:
        return default, None
    header = Message()
    header["Content-Type"] = value[:2000]
    kind = header.get_content_type() if "/" in value else default
    try:
        boundary = header.get_boundary() if kind.startswith("multipart/") else None
    except (ValueError, LookupError):
        boundary = None
    return kind, boundary.encode("utf-8", "replace") if boundary else None


def _split(body: bytes, boundary: bytes, most: int) -> list[bytes]:
    """The pieces between delimiter lines; a missing closing delimiter ends with the body."""
    line = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*$", re.MULTILINE)
    pieces: list[bytes] = []
    start: int | None = None
    for found in line.finditer(body):
        if start is not None:
            pieces.append(body[start : max(start, found.start() - 1)])
        start = found.end() + 1
        if len(pieces) > most:
            raise Unreadable("too_many_parts")
        if found.group(1):
            return pieces
    if start is not None and start < len(body):
        pieces.append(body[start:])
    return pieces


def _decoded(body: bytes, encoding: str) -> bytes:
    encoding = encoding.strip().lower()
    if encoding == "quoted-printable":
        return quopri.decodestring(body)
    if encoding == "base64":
        letters = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
        whole = len(letters) - (len(letters) % 4 == 1)
        try:
            return binascii.a2b_base64(letters[:whole] + b"=" * (-whole % 4))
        except binascii.Error:
            return body
    return body
