"""ingest.readers.trailer: a control total on the last line: a file that was cut does not have it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO

from mailmaker.ingest.domain.findings import Finding
from mailmaker.ingest.readers.charset import Charset

_TAIL = 1 << 14
_MOST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Trailer:
    """Where the rows end, and how many the trailer says there are. None: it is not there."""

    end: int
    count: int | None

    def findings(self, rows: int) -> list[Finding]:
        """What the trailer says against the rows that were read."""
        if self.count is None:
            return [Finding("trailer.missing", "the last line is not the control total: is the file cut?")]
        if self.count != rows:
            return [
                Finding("trailer.count", f"{rows} rows where the control total says {self.count}", count=rows)
            ]
        return []


def find(file: BinaryIO, charset: Charset, template: str, *, any_delimiter: bool = False) -> Trailer:
    """Compares the last line that is not blank with a template: `{count}` stands for the digits, `*` for anything.

    With `any_delimiter` the line is a sheet's row, whose cells the template may part as it likes.
    """
    size = file.seek(0, 2)
    start = max(0, size - _TAIL)
    start -= (start - charset.skip) % 4
    file.seek(max(start, charset.skip))
    text = file.read().decode(charset.codec, "replace")
    body = text.rstrip("\r\n \t\x1a\x00")
    begin = max(body.rfind("\n"), body.rfind("\r")) + 1
    line = body[begin:].strip().strip('"')
    match = _pattern(template).fullmatch(line)
    if match is None and any_delimiter:
        match = _pattern(re.sub(r"[;|\t]", ",", template)).fullmatch(line.rstrip(","))
    if match is None:
        return Trailer(size, None)
    return Trailer(size - len(text[begin:].encode(charset.codec, "replace")), int(match["count"]))


def _pattern(template: str) -> re.Pattern[str]:
    parts = {"{count}": rf"(?P<count>\d{{1,{_MOST_DIGITS}}})", "*": "[^\r\n]*?"}
    cut = re.split(r"(\{count\}|\*)", template.strip())
    return re.compile("".join(parts.get(part, re.escape(part)) for part in cut), re.ASCII)
