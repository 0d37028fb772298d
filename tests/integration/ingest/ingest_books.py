"""Workbooks written by hand, byte by byte: what no library at hand writes, so that what is read is asserted cell by cell.

Rows hold texts, numbers, days and None. ODS is XML in a zip file (OpenDocument 1.3), XLS is BIFF8 in a compound file
([MS-XLS], [MS-CFB]), XLSB is binary records in a zip file ([MS-XLSB]).
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence
from datetime import date
from html import escape

Cell = str | float | date | None
Rows = Sequence[Sequence[Cell]]
_BEFORE = date(1899, 12, 30)
_DAY = 14
"""The built-in number format of a day."""


def _zipped(members: dict[str, bytes | str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return made.getvalue()


def ods(rows: Rows, sheet: str = "Dati") -> bytes:
    """An ODS file with a table before it that is empty."""
    table = "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
    urn = "urn:oasis:names:tc:opendocument:xmlns"
    names = "".join(f' xmlns:{name}="{urn}:{name}:1.0"' for name in ("office", "table", "text"))
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content{names} office:version="1.3"><office:body>'
        f'<office:spreadsheet><table:table table:name="Vuoto"></table:table><table:table table:name="{escape(sheet)}">'
        f"{table}</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    manifest = f'<manifest:manifest xmlns:manifest="{urn}:manifest:1.0"></manifest:manifest>'
    return _zipped({
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
        "META-INF/manifest.xml": manifest,
        "content.xml": content,
    })  # fmt: skip


def _ods_cell(cell: Cell) -> str:
    if cell is None:
        return "<table:table-cell/>"
    if isinstance(cell, str):
        lines = "".join(f"<text:p>{escape(line)}</text:p>" for line in cell.split("\n"))
        return f'<table:table-cell office:value-type="string">{lines}</table:table-cell>'
    kind, name = ("date", "date-value") if isinstance(cell, date) else ("float", "value")
    return f'<table:table-cell office:value-type="{kind}" office:{name}="{cell}"><text:p>{cell}</text:p></table:table-cell>'


def xls(rows: Rows, sheet: str = "Dati") -> bytes:
    """An XLS file of Excel 97 and later."""
    texts: list[str] = []
    cells = b""
    for row, values in enumerate(rows):
        for column, cell in enumerate(values):
            at = struct.pack("<HHH", row, column, isinstance(cell, date))
            if isinstance(cell, str):
                cells += _biff(0x00FD, at + struct.pack("<I", len(texts)))
                texts.append(cell)
            elif cell is not None:
                cells += _biff(0x0203, at + struct.pack("<d", _value(cell)))
    width = max(map(len, rows))
    size = _biff(0x0200, struct.pack("<IIHHH", 0, len(rows), 0, width, 0))
    strings = struct.pack("<II", len(texts), len(texts))
    strings += b"".join(struct.pack("<HB", len(text), 1) + text.encode("utf-16-le") for text in texts)
    name = struct.pack("<BB", len(sheet), 1) + sheet.encode("utf-16-le")
    formats = b"".join(_biff(0x00E0, struct.pack("<HH16x", 0, format)) for format in (0, _DAY))
    before = _biff(0x0809, _begin(0x0005)) + formats
    after = _biff(0x00FC, strings) + _biff(0x000A, b"")
    begins = len(before) + 4 + 6 + len(name) + len(after)
    book = before + _biff(0x0085, struct.pack("<IBB", begins, 0, 0) + name) + after
    return _compound(book + _biff(0x0809, _begin(0x0010)) + size + cells + _biff(0x000A, b""))


def _biff(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _begin(what: int) -> bytes:
    return struct.pack("<HHHHII", 0x0600, what, 0x0DBB, 0x07CC, 0, 6)


def _compound(stream: bytes) -> bytes:
    """One stream, `Workbook`, in sectors of 512 bytes: the table of sectors, the directory, the stream."""
    stream = stream.ljust(4096, b"\0")
    many = -(-len(stream) // 512)
    end, free, table = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
    sectors = [table, end, *range(3, many + 2), end]
    assert len(sectors) <= 128
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16)
    head += struct.pack("<HHHHH6xIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0)
    head += struct.pack("<109I", 0, *[free] * 108)
    folder = _entry("Root Entry", 5, 1, end, 0) + _entry("Workbook", 2, free, 2, len(stream))
    return (
        head
        + struct.pack("<128I", *sectors, *[free] * (128 - len(sectors)))
        + folder.ljust(512, b"\0")
        + stream.ljust(many * 512, b"\0")
    )


def _entry(name: str, kind: int, child: int, first: int, size: int) -> bytes:
    free = 0xFFFFFFFF
    text = (name + "\0").encode("utf-16-le")
    return struct.pack("<64sHBBIII36xIQ", text, len(text), kind, 1, free, free, child, first, size)


def xlsb(rows: Rows, sheet: str = "Dati") -> bytes:
    """An XLSB file; its texts stand in their cells."""
    begin, end = _xlsb(0x81, b""), _xlsb(0x82, b"")
    size = struct.pack("<4I", 0, len(rows) - 1, 0, max(map(len, rows)) - 1)
    cells = b""
    for row, values in enumerate(rows):
        cells += _xlsb(0, struct.pack("<I21x", row))
        for column, cell in enumerate(values):
            at = struct.pack("<II", column, isinstance(cell, date))
            if isinstance(cell, str):
                cells += _xlsb(6, at + _wide(cell))
            elif cell is not None:
                cells += _xlsb(5, at + struct.pack("<d", _value(cell)))
    data = begin + _xlsb(0x94, size) + _xlsb(0x91, b"") + cells + _xlsb(0x92, b"") + end
    named = struct.pack("<II", 0, 1) + _wide("rId1") + _wide(sheet)
    book = (
        *((0x83, b""), (0x99, bytes(8) + _wide("")), (0x8F, b""), (0x9C, named), (0x90, b""), (0x84, b"")),
    )
    formats = b"".join(_xlsb(0x2F, struct.pack("<HH12x", 0, format)) for format in (0, _DAY))
    styles = _xlsb(0x116, b"") + _xlsb(0x269, struct.pack("<I", 2)) + formats + _xlsb(0x26A, b"")
    relation = (
        '<Relationship Id="rId1" Target="worksheets/sheet1.bin"'
        ' Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/>'
    )
    space = "http://schemas.openxmlformats.org/package/2006/relationships"
    return _zipped({
        "xl/workbook.bin": b"".join(_xlsb(kind, told) for kind, told in book),
        "xl/_rels/workbook.bin.rels": f'<Relationships xmlns="{space}">{relation}</Relationships>',
        "xl/styles.bin": styles + _xlsb(0x117, b""),
        "xl/worksheets/sheet1.bin": data,
    })  # fmt: skip


def _xlsb(kind: int, data: bytes) -> bytes:
    """A record: its kind in one byte or two, its length in bytes of seven bits."""
    number = bytes((kind,)) if kind < 0x80 else bytes((kind & 0x7F | 0x80, kind >> 7))
    length, left = b"", len(data)
    while left > 0x7F:
        length, left = length + bytes((left & 0x7F | 0x80,)), left >> 7
    return number + length + bytes((left,)) + data


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _value(cell: float | date) -> float:
    return float((cell - _BEFORE).days) if isinstance(cell, date) else float(cell)
