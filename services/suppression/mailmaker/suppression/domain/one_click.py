"""suppression.domain.one_click: what the body of a POST to an unsubscribe link says (RFC 8058 section 3.2)."""

from __future__ import annotations

import re

_FORM = re.compile(rb"(?:^|&)\s*List-Unsubscribe=One-Click\s*(?:&|$)", re.IGNORECASE)
_PART = re.compile(
    rb'name="?List-Unsubscribe"?[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n\s*One-Click\s*(?:\r?\n|$)', re.IGNORECASE
)


def is_one_click(body: bytes) -> bool:
    """Whether a mail program's one click is meant, form-urlencoded or multipart.

    It only names the door: a valid token is obeyed whatever the body says.
    """
    return _FORM.search(body) is not None or _PART.search(body) is not None
