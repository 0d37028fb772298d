"""ingest.readers.kinds: what a file is, told by its bytes and never by its name."""

from __future__ import annotations

import re
import zipfile
from enum import StrEnum
from typing import BinaryIO

from mailmaker.ingest.readers.faults import Unreadable


class Kind(StrEnum):
    """What can be read, and the two wrappings that one such file may come in."""

    CSV = "csv"
    JSON_LINES = "json_lines"
    XLSX = "xlsx"
    XLSB = "xlsb"
    XLS = "xls"
    ODS = "ods"
    GZIP = "gzip"
    ZIP = "zip"


WORKBOOKS = frozenset((Kind.XLSX, Kind.XLSB, Kind.XLS, Kind.ODS))
PACKED = frozenset((Kind.GZIP, Kind.ZIP))
_SEEN = 4096
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_READABLE = "send CSV, Excel (XLSX, XLS, XLSB), ODS or JSON lines, plain, or alone in a gzip or zip file"
_FOREIGN = (
    (b"%PDF-", "a PDF"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\x00", "a database"),
    (b"{\\rtf", "a text document"),
    (b"\x09\x00\x04\x00", "a workbook of Excel 2"),
    (b"\x09\x02\x06\x00", "a workbook of Excel 3"),
    (b"\x09\x04\x06\x00", "a workbook of Excel 4"),
)
_MARKUP = re.compile(rb"<(?:\?xml|!doctype|html|table|workbook)\b", re.IGNORECASE).match
_OBJECT = re.compile(rb'\{\s*["}]').match
_ARRAY = re.compile(rb"\[\s*\{").match


def detect(file: BinaryIO) -> Kind:
    """The kind of an open file. Raises Unreadable for what is surely something else."""
    file.seek(0)
    head = file.read(_SEEN)
    if head.startswith(b"\x1f\x8b"):
        return Kind.GZIP
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(file)
    if head.startswith(_OLE):
        return Kind.XLS
    for mark, name in _FOREIGN:
        if head.startswith(mark):
            raise Unreadable("file.kind", f"this is {name}: {_READABLE}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _MARKUP(text):
        raise Unreadable("file.kind", f"this is HTML or XML, whatever it is called: {_READABLE}")
    if _ARRAY(text):
        raise Unreadable("json.array", "send JSON lines: one object a line, without brackets and commas")
    return Kind.JSON_LINES if _OBJECT(text) else Kind.CSV


def _zipped(file: BinaryIO) -> Kind:
    """A workbook of one of the kinds that are zip files inside, or something packed."""
    with archive(file) as packed:
        names = set(packed.namelist())
        if "xl/workbook.bin" in names:
            return Kind.XLSB
        if any(name.casefold().replace("\\", "/").startswith("xl/") for name in names):
            return Kind.XLSX
        if "content.xml" in names:
            return Kind.ODS
    return Kind.ZIP


def archive(file: BinaryIO) -> zipfile.ZipFile:
    """The zip file's directory. Raises Unreadable."""
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, OverflowError, EOFError, OSError) as wrong:
        raise Unreadable("file.broken", "the zip file is damaged or cut") from wrong
