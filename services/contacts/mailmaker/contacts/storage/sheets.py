"""contacts.storage.sheets: rows of texts as the bytes of a CSV file or of a workbook, made while the rows come.

No file stands on a disk meanwhile: a process that is killed leaves nobody's addresses behind. A workbook needs no library
for that: one sheet of inline strings (ECMA-376 part 1, 18.3.1.4 and 18.18.11) in a zip file that is written to its end.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol
from xml.sax.saxutils import escape

from mailmaker.common.marks import marked
from mailmaker.contacts.domain.exports import CellKind, Column, Format
from mailmaker.contacts.storage.archive import Sink

Row = Sequence[str | None]


class TooLarge(Exception):
    """The sheet is larger than spreadsheets open."""


class Sheet(Protocol):
    """A file under way. `add` and `end` give what can be kept of it already."""

    def add(self, rows: Sequence[Row]) -> bytes: ...

    def end(self) -> bytes: ...


def sheet(form: Format, columns: Sequence[Column]) -> Sheet:
    """The file of a format, its header written."""
    return Csv(columns) if form == "csv" else Workbook(columns)


class Csv:
    """RFC 4180 in UTF-8: commas, CRLF, text marked where a spreadsheet would take it for a formula."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._writer.writerow([column.name for column in columns])

    def add(self, rows: Sequence[Row]) -> bytes:
        cells = [
            _marks(column)(cells)
            for column, cells in zip(self._columns, zip(*rows, strict=True), strict=True)
        ]
        self._writer.writerows(zip(*cells, strict=True))
        return self._taken()

    def end(self) -> bytes:
        return self._taken()

    def _taken(self) -> bytes:
        made = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return made


Cells = Iterable[str | None]


def _marks(column: Column) -> Callable[[Cells], Cells]:
    if column.kind not in (CellKind.TEXT, CellKind.EMAIL):
        return lambda cells: cells
    address = column.kind is CellKind.EMAIL
    return lambda cells: [cell and marked(cell, address=address) for cell in cells]


_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        '<sheets><sheet name="Contacts" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>'
    ),
    # Cell format 1 is text, with Excel's own mark: also when the cell is edited it stays text. 2 is the header.
    "xl/styles.xml": (
        f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font/><font><b/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border/></borders>'
        '<cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="3"><xf xfId="0"/>'
        '<xf xfId="0" numFmtId="49" quotePrefix="1" applyNumberFormat="1"/>'
        '<xf xfId="0" fontId="1" applyFont="1"/></cellXfs></styleSheet>'
    ),
}
_SHEET = (
    f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>'
)
_END = "</sheetData></worksheet>"
# What XML cannot hold, and what already looks like the escape for it (ECMA-376 part 1, 22.9.2.19).
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\r\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,14})?\Z").match


class Workbook:
    """One sheet. Numbers that a spreadsheet keeps exactly are numbers, booleans are booleans, all else is text."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._sink = Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        for name, text in _PARTS.items():
            self._zip.writestr(name, _HEAD + text)
        self._sheet = self._zip.open("xl/worksheets/sheet1.xml", "w")
        self._cells = [_cells(column, _letters(at)) for at, column in enumerate(columns)]
        self._row = 1
        header = "".join(
            f'<c r="{_letters(at)}1" s="2" t="inlineStr"><is><t>{escape(column.name)}</t></is></c>'
            for at, column in enumerate(columns)
        )
        self._sheet.write(f'{_HEAD}{_SHEET}<row r="1">{header}</row>'.encode())

    def add(self, rows: Sequence[Row]) -> bytes:
        """Raises TooLarge."""
        first, lines = self._row + 1, []
        for number, row in enumerate(rows, first):
            cells = [make(cell, number) for make, cell in zip(self._cells, row, strict=True) if cell]
            lines.append(f'<row r="{number}">{"".join(cells)}</row>')
        self._row += len(lines)
        try:
            self._sheet.write("".join(lines).encode())
        except RuntimeError as wrong:
            # zipfile's word for a member past 2 GiB, which spreadsheets do not open.
            raise TooLarge from wrong
        return self._sink.taken()

    def end(self) -> bytes:
        self._sheet.write(_END.encode())
        self._sheet.close()
        self._zip.close()
        return self._sink.taken()


def _letters(at: int) -> str:
    """The name of a column: 0 is A, 26 is AA."""
    found = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        found = chr(65 + rest) + found
    return found


def _cells(column: Column, letters: str) -> Callable[[str, int], str]:
    address = column.kind is CellKind.EMAIL

    def text(cell: str, row: int) -> str:
        shown = escape(_UNSAFE.sub(_escaped, marked(cell, address=address, sheet=True)))
        return f'<c r="{letters}{row}" s="1" t="inlineStr"><is><t xml:space="preserve">{shown}</t></is></c>'

    def number(cell: str, row: int) -> str:
        exact = _NUMBER(cell) and len(cell.strip("-").replace(".", "").lstrip("0")) <= 15
        return f'<c r="{letters}{row}"><v>{cell}</v></c>' if exact else text(cell, row)

    def boolean(cell: str, row: int) -> str:
        return f'<c r="{letters}{row}" t="b"><v>{int(cell == "true")}</v></c>'

    return {CellKind.NUMBER: number, CellKind.BOOLEAN: boolean}.get(column.kind, text)


def _escaped(found: re.Match[str]) -> str:
    return f"_x{ord(found.group()):04X}_"
