"""dispatch.domain: DKIM's relaxed form of a body (RFC 6376 section 3.4.4)."""

from __future__ import annotations

import re

_WSP = re.compile(rb"[ \t]+")


def relaxed_lines(text: bytes) -> bytes:
    """Runs of blanks are one, and none ends a line. Looking first is cheaper than replacing."""
    if b"  " in text or b"\t" in text or b" \r\n" in text:
        return _WSP.sub(b" ", text).replace(b" \r\n", b"\r\n")
    return text


def without_last_empty_lines(text: bytes) -> bytes:
    """No empty line ends the body; a body of nothing else is empty."""
    if text.endswith(b"\r\n\r\n") or text == b"\r\n":
        while text.endswith(b"\r\n"):
            text = text[:-2]
        text = text and text + b"\r\n"
    return text


def relaxed_body(body: bytes) -> bytes:
    """The whole form. SMTP ends a message's last line before its dot, so a missing line end is as if it were there."""
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    return without_last_empty_lines(relaxed_lines(body))
