"""fbl.parse.fields: header fields and the field groups of reports: any case, folded, repeated, broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header

MAX_FIELDS = 2000
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fields:
    """A group of fields in order; names in lower case, values unfolded, without NUL."""

    items: tuple[tuple[str, str], ...]

    def first(self, name: str) -> str | None:
        return next((value for found, value in self.items if found == name), None)

    def every(self, name: str) -> list[str]:
        return [value for found, value in self.items if found == name]

    def __contains__(self, name: str) -> bool:
        return any(found == name for found, _ in self.items)


def read_fields(block: bytes) -> Fields:
    """The fields of one header block (LF line ends). Lines that are neither a field nor its continuation are passed over."""
    items: list[tuple[str, str]] = []
    name, parts = "", [b""]
    for line in block.split(b"\n"):
        if line[:1] in (b" ", b"\t") and name:
            parts.append(line)
            continue
        if name:
            items.append((name, _value(parts)))
        found = _NAME.match(line.rstrip(b"\r"))
        name = ""
        if found is not None and len(items) < MAX_FIELDS:
            name, parts = found.group(1).decode("ascii").lower(), [found.group(2)]
    if name:
        items.append((name, _value(parts)))
    return Fields(tuple(items))


def groups(body: bytes) -> Iterator[Fields]:
    """The field groups of a report part, divided by empty lines (RFC 3464 section 2.1)."""
    for block in re.split(rb"\n[ \t\r]*\n", body.replace(b"\r\n", b"\n").strip(b"\n")):
        fields = read_fields(block.strip(b"\n"))
        if fields.items:
            yield fields


def typed(value: str) -> str:
    """The value of `type; value` (RFC 3464 section 2.1.2), or the whole where no type is given."""
    kind, semicolon, rest = value.partition(";")
    return (rest if semicolon and re.fullmatch(r"[\w.-]+", kind.strip()) else value).strip()


def plain_address(value: str | None) -> str | None:
    """One address out of a report's field: type, comment and angle brackets taken off; None when there is none."""
    if not value:
        return None
    text = typed(value)
    inside = re.search(r"<([^<>]*)>", text)
    text = (inside.group(1) if inside else re.sub(r"\([^()]*\)", "", text)).strip().strip('"').strip()
    # RFC 3461 section 4: in xtext only `+` and `=` of printable ASCII need writing as +2B and +3D.
    text = text.replace("+2B", "+").replace("+3D", "=") if re.search(r"\+2B|\+3D", text) else text
    return text[:320] if "@" in text and " " not in text and not text.endswith("@") else None


def words(value: str | None) -> str:
    """A header's words with RFC 2047 encodings undone, for looking at, never for showing."""
    if not value:
        return ""
    try:
        return str(make_header(decode_header(value[:4000])))
    except (HeaderParseError, LookupError, ValueError):
        return value[:4000]


def _value(parts: list[bytes]) -> str:
    return b"".join(parts).decode("utf-8", "replace").replace("\0", "").replace("\r", "").strip()
