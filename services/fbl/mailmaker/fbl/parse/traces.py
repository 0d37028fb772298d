"""fbl.parse.traces: texts in a mail that may be tokens of ours; whether they are, the keys say later.

A token is in at least five headers of each mail (TOK-3), so that any one which a redactor leaves is enough.
"""

from __future__ import annotations

import re

from mailmaker.fbl.domain.findings import MAX_TRACES
from mailmaker.fbl.parse.fields import Fields

_TOKEN = re.compile(r"(?<![A-Za-z2-7])[A-Za-z2-7]{56}(?![A-Za-z2-7])")
_BYTES = re.compile(rb"(?<![A-Za-z2-7])[A-Za-z2-7]{56}(?![A-Za-z2-7])")
_SOFT_BREAK = re.compile(rb"=[ \t]*\n")


def traces(returned: Fields, raw: bytes) -> tuple[str, ...]:
    """Candidates of the returned header first, then of anywhere in the mail, soft line breaks undone; each once."""
    found: dict[str, None] = {}
    for _, value in returned.items:
        # Folding may have put white space into a value that had none.
        for text in (value, re.sub(r"\s+", "", value)):
            found.update(dict.fromkeys(token.lower() for token in _TOKEN.findall(text)))
    flat = raw.replace(b"\r\n", b"\n")
    for data in (flat, _SOFT_BREAK.sub(b"", flat)) if b"=\n" in flat else (flat,):
        for match in _BYTES.finditer(data):
            if len(found) >= MAX_TRACES:
                break
            found[match.group().decode().lower()] = None
    return tuple(found)[:MAX_TRACES]
