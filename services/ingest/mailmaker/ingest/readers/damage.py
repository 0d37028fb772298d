"""ingest.readers.damage: characters that somebody's program lost before the file came to us."""

from __future__ import annotations

import re

from mailmaker.ingest.domain.findings import Finding

_LEAST = 3
_ONE_IN = 1_000
# UTF-8 that was read as Windows-1252: a letter of Latin-1 becomes "Ã" and one of these; a quotation mark becomes "â€".
_SECOND = "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122"
_MOJIBAKE = re.compile(f"Ã[{_SECOND}]|â€[{_SECOND}]")
_LOST = "\ufffd"


class Damage:
    """Counts the places in which a text is damaged. Texts without any cost two searches."""

    def __init__(self) -> None:
        self._found = {"encoding.mojibake": 0, "encoding.replaced": 0}
        self._first: dict[str, int] = {}

    def feed(self, text: str, line: int) -> None:
        """Looks through the text that begins on `line`."""
        if "Ã" in text or "â€" in text:
            self._count(
                "encoding.mojibake", [match.start() for match in _MOJIBAKE.finditer(text)], text, line
            )
        if _LOST in text:
            self._count(
                "encoding.replaced", [match.start() for match in re.finditer(_LOST, text)], text, line
            )

    def _count(self, code: str, places: list[int], text: str, line: int) -> None:
        if places:
            self._found[code] += len(places)
            self._first.setdefault(code, line + text.count("\n", 0, places[0]))

    def findings(self, rows: int) -> list[Finding]:
        """What is damaged in many cells: a single one may be a person's own."""
        most = max(_LEAST, rows // _ONE_IN)
        details = {
            "encoding.mojibake": "places read like UTF-8 that a program took for Windows-1252",
            "encoding.replaced": "characters were lost: the file holds U+FFFD in their place",
        }
        return [
            Finding(code, f"{count} {details[code]}", self._first[code], count)
            for code, count in self._found.items()
            if count >= most
        ]
