"""ingest.readers.workbook: a sheet of a workbook as text, one line a row, so that a line number is the row's number."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import IO

from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.kinds import Kind
from mailmaker.ingest.readers.sheet_errors import Errors, errors_of
from mailmaker.ingest.readers.table import one_line
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

_BATCH = 2_000
_EXACT = 1e15
_BROKEN = (
    "the workbook cannot be opened; open it in your spreadsheet and save it again, or save the sheet as CSV"
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet that was written as text: its name, the names of all, and the last row's number."""

    name: str
    names: tuple[str, ...]
    rows: int


def written(path: Path, kind: Kind, wanted: str | int | None, target: IO[str], most: int) -> Sheet:
    """Writes the sheet as CSV. Raises Unreadable.

    `wanted` is a sheet's name or its number (1 is the first); without it the first visible one that has rows is taken.
    """
    try:
        return _written(path, kind, wanted, target, most)
    except (Unreadable, MemoryError, OSError):
        raise
    except PasswordError as wrong:
        raise Unreadable(
            "file.encrypted", "the file is protected by a password; save it without one"
        ) from wrong
    except CalamineError as wrong:
        raise Unreadable("file.broken", _BROKEN) from wrong
    except BaseException as wrong:
        # A panic of the library is no Exception; what it says may hold a cell.
        if isinstance(wrong, KeyboardInterrupt | SystemExit):
            raise
        raise Unreadable("file.broken", _BROKEN) from wrong


def _written(path: Path, kind: Kind, wanted: str | int | None, target: IO[str], most: int) -> Sheet:
    book = CalamineWorkbook.from_path(path)
    names = tuple(one.name for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet)
    sheet = _chosen(book, names, wanted)
    errors = errors_of(path, sheet.name) if kind is Kind.XLSX else {}
    rows = _copied(sheet, errors, target, most)
    return Sheet(sheet.name, names, rows)


def _chosen(book: CalamineWorkbook, names: tuple[str, ...], wanted: str | int | None) -> CalamineSheet:
    if wanted is not None:
        return book.get_sheet_by_name(_named(names, wanted))
    for about in book.sheets_metadata:
        if about.typ == SheetTypeEnum.WorkSheet and about.visible == SheetVisibleEnum.Visible:
            sheet = book.get_sheet_by_name(about.name)
            if sheet.start is not None:
                return sheet
    raise Unreadable("file.empty", "no visible sheet of the workbook has rows")


def _named(names: tuple[str, ...], wanted: str | int) -> str:
    if isinstance(wanted, str):
        for name in names:
            if name.casefold() == wanted.strip().casefold():
                return name
    if str(wanted).isdecimal() and 1 <= int(wanted) <= len(names):
        return names[int(wanted) - 1]
    shown = ", ".join(repr(name) for name in names[:20])
    raise Unreadable("sheet.unknown", f"the workbook's sheets are {shown}", pointer="/options/sheet")


def _copied(sheet: CalamineSheet, errors: Errors, target: IO[str], most: int) -> int:
    """Writes the rows; an empty one is an empty line. Returns the number of the last row that is not empty."""
    rows = sheet.iter_rows()
    first = 0 if sheet.start is None else sheet.start[1]
    width: int | None = None
    number = last = size = 0
    while batch := list(islice(rows, _BATCH)):
        texts = [list(row) for row in zip(*map(_texts, zip(*batch, strict=True)), strict=True)]
        for (row, column), error in errors.items():
            if number <= row < number + len(texts) and first <= column < first + len(texts[0]):
                texts[row - number][column - first] = error
        cut: list[list[str]] = []
        for index, row_texts in enumerate(texts):
            if not any(row_texts):
                cut.append([])
                continue
            last = number + index + 1
            if width is None:
                width = max(i for i, cell in enumerate(row_texts, 1) if cell)
            cut.append(row_texts if any(row_texts[width:]) else row_texts[:width])
        number += len(batch)
        text = _lines(cut)
        size += len(text)
        if size > most:
            raise Unreadable(
                "file.too_large_unpacked", f"the sheet is larger than {most} characters; split it"
            )
        target.write(text)
    return last


def _lines(rows: Sequence[Sequence[str]]) -> str:
    made = io.StringIO()
    # A row of nothing but empty cells is an empty line; the writer would quote a single empty cell.
    csv.writer(made, lineterminator="\n").writerows(row if any(row) else [] for row in rows)
    return made.getvalue()


def _texts(column: Sequence[object]) -> list[str]:
    kinds = set(map(type, column))
    texts = list(column) if kinds == {str} else [_TEXT[type(cell)](cell) for cell in column]
    if str in kinds:
        joined = "".join(texts)  # type: ignore[arg-type]
        if "\n" in joined or "\r" in joined:
            return [one_line(text) for text in texts]  # type: ignore[arg-type]
    return texts  # type: ignore[return-value]


def _number(cell: float) -> str:
    """20121.0 is 20121. Past 15 digits a spreadsheet has lost some: the exponent tells, and no field takes it for a key."""
    if abs(cell) >= _EXACT:
        return format(cell, ".15g")
    return str(int(cell)) if cell == int(cell) else repr(cell)


def _moment(cell: datetime) -> str:
    return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ", "seconds")


def _duration(cell: timedelta) -> str:
    minutes, seconds = divmod(int(cell.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


_TEXT: dict[type, Callable[..., str]] = {
    str: str,
    float: _number,
    int: str,
    bool: lambda cell: "true" if cell else "false",
    date: date.isoformat,
    datetime: _moment,
    time: lambda cell: cell.isoformat("seconds"),
    timedelta: _duration,
    type(None): lambda cell: "",
}
