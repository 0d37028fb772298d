"""common.marks: the apostrophe that keeps a spreadsheet from taking text for a formula or a number.

Exports write it, imports take it away: one in front of what needs it, however many there were before. Both houses stand on
this one pair of functions, so that what goes out comes back as it was.
Source: OWASP, CSV Injection: cells that begin with = + - @, tab or carriage return; the full-width forms are taken for the
same by spreadsheets.
"""

from __future__ import annotations

import re

STARTS = "=+-@\t\r\uff1d\uff0b\uff0d\uff20"
ERRORS = frozenset(
    (
        "#N/A",
        "#N/D",
        "#REF!",
        "#RIF!",
        "#VALUE!",
        "#VALORE!",
        "#DIV/0!",
        "#NAME?",
        "#NOME?",
        "#NUM!",
        "#NULL!",
        "#NULLO!",
    )
)
"""What a spreadsheet shows, in English and Italian, where a formula failed."""
ROUNDED = re.compile(r"[+\-]?\d+(?:[.,]\d+)?E\+\d+\Z", re.IGNORECASE).match
"""What is left of a long number that a spreadsheet rounded."""

# After apostrophes: what a formula begins with, or digits that are text on purpose.
_BEHIND = re.compile(rf"'+(?:[{re.escape(STARTS)}]|[\d .,/\-]+\Z)").match
# No marked formula, but an address: '@example.it.
_AT = re.compile(r"'+@[^@\s]+\.[^@\s]+\Z").match


def marked(text: str, *, address: bool = False, sheet: bool = False) -> str:
    """How a text is written into a cell, so that a spreadsheet leaves it alone and `unmarked` gives it back.

    `address`: of an email column. `sheet`: the cell of a workbook is text by its type; only what `unmarked` or an import
    would take for something else needs the mark there."""
    if not text:
        return text
    if text[0] == "'":
        return f"'{text}" if _is_marked(text, address) else text
    if (text[0] in STARTS and not sheet) or _is_taken(text):
        return f"'{text}"
    return text


def unmarked(cell: str, *, address: bool = False) -> str:
    """A cell's text without the mark; a cell without one as it is."""
    return cell[1:] if cell[:1] == "'" and _is_marked(cell, address) else cell


def _is_marked(cell: str, address: bool) -> bool:
    if _BEHIND(cell):
        return not (address and _AT(cell))
    return _is_taken(cell.lstrip("'"))


def _is_taken(text: str) -> bool:
    """Whether an import refuses the text, because a spreadsheet may have made it of something else."""
    return text.strip().upper() in ERRORS if text[:1] == "#" else ROUNDED(text.strip()) is not None
