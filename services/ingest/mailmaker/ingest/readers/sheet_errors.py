"""ingest.readers.sheet_errors: where a sheet of an XLSX file holds #N/A and its like.

The library that reads workbooks gives an error cell as an empty one; taken at its word, an import that erases would
erase. So the sheet's XML is looked through once more, as bytes, for cells of the type `e`.
"""

from __future__ import annotations

import html
import posixpath
import re
import zipfile
import zlib
from pathlib import Path

Errors = dict[tuple[int, int], str]
"""Row and column, both from 0, to the error as the spreadsheet shows it."""

_PIECE = 1 << 18
_OVERLAP = 4096
_MOST_XML = 8 << 20
_MOST_ERRORS = 100_000
_CELL = re.compile(
    rb"""<(?:\w+:)?c\s(?=[^>]*\br=["']([A-Z]{1,3})(\d{1,7})["'])(?=[^>]*\bt=["']e["'])[^>]*>"""
    rb"""(?:(?!</(?:\w+:)?c>).)*?<(?:\w+:)?v>([^<]{1,20})</""",
    re.DOTALL,
)
_SHEET = re.compile(r"<(?:\w+:)?sheet\s[^>]*>")
_RELATION = re.compile(r"<(?:\w+:)?Relationship\s[^>]*>")
_ATTRIBUTE = re.compile(r"""([\w:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


def errors_of(path: Path, sheet: str) -> Errors:
    """The error cells of a sheet. A file whose parts are not where they should be has none that we know."""
    found: Errors = {}
    try:
        with zipfile.ZipFile(path) as book:
            part = _part_of(book, sheet)
            if part is None:
                return found
            with book.open(part) as xml:
                kept = b""
                while (piece := xml.read(_PIECE)) and len(found) < _MOST_ERRORS:
                    text = kept + piece
                    if b't="e"' in text or b"t='e'" in text:
                        for letters, row, error in _CELL.findall(text):
                            found[int(row) - 1, _column(letters)] = html.unescape(
                                error.decode("utf-8", "replace")
                            )
                    kept = text[-_OVERLAP:]
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, OSError, NotImplementedError):
        return found
    return found


def _part_of(book: zipfile.ZipFile, sheet: str) -> str | None:
    names = {name.casefold(): name for name in book.namelist()}
    targets = {
        one.get("Id"): one.get("Target", "")
        for one in map(_attributes, _RELATION.findall(_xml(book, "xl/_rels/workbook.xml.rels")))
    }
    for one in map(_attributes, _SHEET.findall(_xml(book, "xl/workbook.xml"))):
        if one.get("name") == sheet:
            relation = next((value for name, value in one.items() if name.endswith(":id")), None)
            target = targets.get(relation)
            if target is None:
                return None
            return names.get(posixpath.normpath(posixpath.join("/xl", target)).lstrip("/").casefold())
    return None


def _xml(book: zipfile.ZipFile, name: str) -> str:
    with book.open(name) as part:
        return part.read(_MOST_XML).decode("utf-8", "replace")


def _attributes(tag: str) -> dict[str, str]:
    return {name: html.unescape(one or other) for name, one, other in _ATTRIBUTE.findall(tag)}


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
