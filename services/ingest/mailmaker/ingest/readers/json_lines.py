"""ingest.readers.json_lines: one JSON object a line (application/x-ndjson) as CSV: keys are columns, lines stay lines.

The header is written on a line of its own before the first one: whoever reads the CSV counts it as line 0.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import IO, BinaryIO

from mailmaker.ingest.domain.mapping import MOST_COLUMNS
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.records import LONGEST_CELL
from mailmaker.ingest.readers.table import one_line

_BATCH = 1_000
_MARK = b"\xef\xbb\xbf"


def written(file: BinaryIO, target: IO[str], most: int) -> int:
    """Writes the objects as CSV, columns in the order in which keys first appear. Returns the lines. Raises Unreadable.

    Numbers keep their digits, true and false are words, null is an empty cell. A value that holds others is refused.
    """
    columns = _columns(file)
    csv.writer(target, lineterminator="\n").writerow(map(one_line, columns))
    made = io.StringIO()
    write = csv.writer(made, lineterminator="\n").writerow
    number = size = 0
    for number, found in _objects(file):
        write([one_line(found.get(column, "")) for column in columns] if found else [])
        if number % _BATCH == 0:
            size += _moved(made, target, most - size)
    _moved(made, target, most - size)
    return number


def _moved(made: io.StringIO, target: IO[str], room: int) -> int:
    text = made.getvalue()
    if len(text) > room:
        raise Unreadable(
            "file.too_large_unpacked", "written as a table, the objects take too much room; split it"
        )
    target.write(text)
    made.seek(0)
    made.truncate()
    return len(text)


def _columns(file: BinaryIO) -> list[str]:
    columns: dict[str, None] = {}
    for number, found in _objects(file):
        if not found.keys() <= columns.keys():
            columns.update(dict.fromkeys(found))
            if len(columns) > MOST_COLUMNS:
                raise Unreadable("columns.too_many", f"more than {MOST_COLUMNS} different keys", number)
    return list(columns)


def _objects(file: BinaryIO) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line's number and object; an empty line has an empty one."""
    file.seek(0)
    number = 0
    while data := file.readline(LONGEST_CELL + 1):
        number += 1
        if len(data) > LONGEST_CELL:
            raise Unreadable("line.too_long", f"a line of more than {LONGEST_CELL} bytes", number)
        line = (data.removeprefix(_MARK) if number == 1 else data).strip()
        yield number, _object(line, number) if line else {}


def _object(line: bytes, number: int) -> dict[str, str]:
    try:
        found = json.loads(
            line.decode("utf-8"),
            parse_int=str,
            parse_float=str,
            parse_constant=_no_number,
            object_pairs_hook=_Pairs,
        )
    except UnicodeDecodeError as wrong:
        raise Unreadable(
            "encoding.broken", "bytes that are not UTF-8; JSON lines are UTF-8", number
        ) from wrong
    except (ValueError, RecursionError) as wrong:
        raise Unreadable("json.broken", "this is not one JSON object", number) from wrong
    if type(found) is not _Pairs:
        raise Unreadable("json.not_object", 'a line is one JSON object, as {"email": "..."}', number)
    made = {key: _text(key, value, number) for key, value in found}
    if len(made) != len(found):
        raise Unreadable("json.key_twice", "a key comes twice in this object", number)
    return made


class _Pairs(list[tuple[str, object]]):
    """An object as it was written, so that a key that comes twice is seen."""


def _text(key: str, value: object, number: int) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    raise Unreadable(
        "json.nested",
        f"the value of {key[:80]!r} holds others; a value is text, a number, true, false or null",
        number,
    )


def _no_number(name: str) -> str:
    raise ValueError(name)
