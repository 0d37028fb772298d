"""fbl.parse.feedback: feedback reports (ARF, RFC 5965), and the one old form that is none of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailmaker.fbl.parse.fields import Fields, plain_address, read_fields
from mailmaker.fbl.parse.mime import Part

_RETURNED = frozenset(
    {
        "message/rfc822",
        "message/global",
        "text/rfc822-headers",
        "message/rfc822-headers",
        "message/global-headers",
    }
)
_OLD_MICROSOFT = re.compile(r"complaint about message from", re.IGNORECASE)
_REDACTED = re.compile(r"redacted|undisclosed|^x+@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What the report's own fields say."""

    type: str
    address: str | None


def feedback(mail: Part) -> Feedback | None:
    """The report in a mail, or None."""
    for part in mail.walk():
        if part.kind == "message/feedback-report":
            return _of_fields(read_fields(part.body.replace(b"\r\n", b"\n").strip(b"\n")))
    if _OLD_MICROSOFT.search(mail.fields.first("subject") or ""):
        hidden = next(
            (
                part.fields.first("x-hmxmroriginalrecipient")
                for part in mail.walk()
                if "x-hmxmroriginalrecipient" in part.fields
            ),
            None,
        )
        return Feedback("abuse", plain_address(hidden))
    return None


def returned_fields(mail: Part) -> Fields:
    """The header of our own mail as the report returns it; empty where it returns none."""
    for part in mail.walk():
        if part.kind in _RETURNED:
            if part.parts:
                return part.parts[0].fields
            return read_fields(part.body.replace(b"\r\n", b"\n").lstrip(b"\n").split(b"\n\n", 1)[0])
    return Fields(())


def _of_fields(fields: Fields) -> Feedback:
    kind = (fields.first("feedback-type") or "").split("(")[0].strip().lower()
    for name in ("original-rcpt-to", "removal-recipient", "redacted-address"):
        for value in fields.every(name):
            address = plain_address(value)
            if address is not None and not _REDACTED.search(address):
                return Feedback(kind[:60] or "abuse", address)
    return Feedback(kind[:60] or "abuse", None)
