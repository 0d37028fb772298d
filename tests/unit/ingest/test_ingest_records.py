"""unit: any CSV comes back record by record, each with its physical line."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ingest_reading import not_utf8_at, rows_of
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.scan import Scan

CELLS = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0\x01")
    | st.sampled_from(list("\",;\t|\n\r' aè")),
    max_size=12,
)
TABLES = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=12)
)


@settings(max_examples=300, deadline=None)
@given(
    table=TABLES,
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    chunk=st.integers(1, 64),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@example([["a", "b"], ['"x\r\ny"', ""]], ",", "\n", csv.QUOTE_ALL, 1, "utf-8")
def test_what_a_writer_wrote_is_read(
    table: list[list[str]], delimiter: str, newline: str, quoting: int, chunk: int, encoding: str
) -> None:
    if any("\r" in cell for row in table for cell in row):
        quoting = csv.QUOTE_ALL  # csv.writer leaves a lone carriage return bare
    text = io.StringIO(newline="")
    lines = []
    writer = csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    for row in table:
        lines.append(1 + _line_ends(text.getvalue()))
        writer.writerow(row)
    if text.getvalue().lstrip("\r\n")[:1] in ("", "\ufeff") or not text.getvalue().strip("\r\n\t ,;|\0"):
        return
    if delimiter == "," and not any("".join(row) for row in table):
        return
    read = rows_of(text.getvalue().encode(encoding), delimiter=delimiter, encoding=encoding, chunk=chunk)
    assert read == list(zip(lines, table, strict=True))


def _line_ends(text: str) -> int:
    return len(list(io.StringIO(text, newline="")))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("chunk", [1, 3, 10_000])
def test_every_kind_of_line_end_and_blank_lines(newline: str, chunk: int) -> None:
    data = newline.join(["a,b", "", "1,2", "", "", '3,"4"', "5,6"]).encode()
    assert rows_of(data, chunk=chunk) == [(1, ["a", "b"]), (3, ["1", "2"]), (6, ["3", "4"]), (7, ["5", "6"])]


def test_lines_go_on_after_a_cell_of_three_lines() -> None:
    data = b'a,b\n1,"x\ny\nz"\n2,w\n"3",v\n'
    assert [line for line, _ in rows_of(data, chunk=4)] == [1, 2, 5, 6]


def test_a_quote_in_the_middle_of_a_cell_is_a_quote() -> None:
    assert rows_of(b'a;b\n24" screen;x\n')[1] == (2, ['24" screen', "x"])


@pytest.mark.parametrize("chunk", [1, 8, 1 << 18])
def test_a_quote_that_is_never_closed_names_its_line(chunk: int) -> None:
    data = b'a,b\n1,2\n3,"4\n' + b"5,6\n" * 1000
    with pytest.raises(Unreadable) as wrong:
        rows_of(data, delimiter=",", chunk=chunk)
    assert (wrong.value.code, wrong.value.line) == ("quote.unclosed", 3)


def test_an_unclosed_quote_in_a_large_file_does_not_eat_it() -> None:
    data = b'a,b\n1,2\n3,"4\n' + b"5,6666666666666666666\n" * 100_000
    with pytest.raises(Unreadable) as wrong:
        rows_of(data, delimiter=",")
    assert (wrong.value.code, wrong.value.line) == ("cell.too_long", 3)


def test_a_line_without_an_end_is_refused_before_memory_is() -> None:
    with pytest.raises(Unreadable) as wrong:
        rows_of(b"a,b\n1,2\n" + b"x" * (3 << 20), delimiter=",")
    assert (wrong.value.code, wrong.value.line) == ("line.too_long", 3)


def test_bytes_that_break_the_encoding_name_their_line() -> None:
    data = b"email,citta\n" + b"a@b.it,x\n" * 20 + b"c@d.it,\x81\xff\n"
    assert not_utf8_at(data) == 22
    with pytest.raises(Unreadable) as wrong:
        rows_of(data, encoding="utf-8")
    assert (wrong.value.code, wrong.value.line) == ("encoding.broken", 22)


def test_the_scan_tells_size_digest_lines() -> None:
    scan = Scan()
    for byte in "è\nè\nx".encode():
        scan.feed(bytes((byte,)))
    found = scan.end()
    assert (found.size, found.line_ends, found.not_utf8_at) == (7, 3, None)
    scan = Scan()
    scan.feed("a\nb\nè".encode()[:-1])
    assert scan.end().not_utf8_at == 3


@given(st.lists(st.sampled_from(["a", "b,c", "\r", "\n", "\r\n", "\r\r\n", "\n\r"]), min_size=1, max_size=9))
def test_line_ends_of_several_kinds_are_each_one(parts: list[str]) -> None:
    text = "k,v\n" + "".join(parts) + "z,z"
    lines = [(n, line.split(",")) for n, line in enumerate(io.StringIO(text, newline=None), 1)]
    wanted = [(n, [cell.rstrip("\n") for cell in cells]) for n, cells in lines if cells != ["\n"]]
    assert rows_of(text.encode(), delimiter=",") == wanted
