"""common.mail.reply: an SMTP reply as one typed fact (RFC 5321 section 4.2, RFC 2034)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|\Z)")


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's whole answer to one command. Retry follows the basic code's class, nothing else (BNC-2)."""

    code: int
    enhanced: str | None
    text: str

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 400

    @property
    def temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        return self.code >= 500

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced + ' ' if self.enhanced else ''}{self.text}"


def parse_reply(lines: list[bytes]) -> Reply:
    """The reply of all its lines (`250-…`, `250 …`). Raises ValueError when they are not a reply."""
    if not lines or not lines[-1][:3].isdigit():
        raise ValueError("not an SMTP reply")
    texts = [line[4:].decode("utf-8", "replace").strip() for line in lines]
    found = _ENHANCED.match(texts[0])
    enhanced = found.group(1) if found else None
    if enhanced is not None:
        texts = [text.removeprefix(enhanced).strip() for text in texts]
    return Reply(int(lines[-1][:3]), enhanced, " ".join(text for text in texts if text)[:1000])
