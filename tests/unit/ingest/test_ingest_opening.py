"""unit: characters, delimiter and columns are told from the head of a file."""

from __future__ import annotations

import io

import pytest
from ingest_reading import not_utf8_at, rows_of
from mailmaker.ingest.domain.fields import Field, list_fields, plain
from mailmaker.ingest.domain.mapping import WrongColumns, map_columns, with_defaults
from mailmaker.ingest.readers.dialect import detect
from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.opening import Wishes, look, shape

ITALIAN = "email;nome;città\n" + "".join(
    f"p{n}@example.it;{name};{town}\n"
    for n, (name, town) in enumerate(
        [("Niccolò", "Forlì"), ("Mosè", "Cantù"), ("Libertà D’Amico", "Mondovì")] * 5
    )
)


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-32-le",
        "utf-32-be",
        "cp1252",
        "mac_roman",
    ],
)
def test_italian_is_read_whatever_wrote_it(encoding: str) -> None:
    rows = rows_of(ITALIAN.encode(encoding))
    assert rows[1][1] == ["p0@example.it", "Niccolò", "Forlì"]
    assert rows[3][1][1] == "Libertà D’Amico"


@pytest.mark.parametrize(
    "junk", [b"\xff\xfe\xfd\xfc\x81\x8d\x90", b"\xfe\xdf\xf0\xd0\xfe\xff", bytes(range(128, 256))]
)
def test_what_is_no_text_is_not_guessed(junk: bytes) -> None:
    data = b"email,name\na@example.it,Anna\nb@example.it," + junk + b"\n"
    with pytest.raises(Unreadable) as wrong:
        shape(io.BytesIO(data), Wishes("email"), not_utf8_at(data))
    assert (wrong.value.code, wrong.value.line) == ("encoding.unknown", 3)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\r\n \r\n", b"\xef\xbb\xbf", b";;;\n"])
def test_an_empty_file_says_so(data: bytes) -> None:
    with pytest.raises(Unreadable) as wrong:
        look(io.BytesIO(data), Wishes("email"), None)
    assert wrong.value.code == "file.empty"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_by_the_header(delimiter: str) -> None:
    head = (
        delimiter.join(("email", "nome", "note")) + "\na@b.it" + delimiter + "Anna" + delimiter + "1,2;3|4\n"
    )
    assert detect(head).delimiter == delimiter


def test_the_delimiter_is_told_by_even_rows() -> None:
    assert detect("uno;due\n1,5;2,5\n3,5;4,5\n").delimiter == ";"
    assert detect("email\na@b.it\n").delimiter == ","


def test_excels_separator_line_is_obeyed_and_skipped() -> None:
    assert rows_of(b"sep=;\r\nemail;name\r\na@b.it;x,y\r\n")[:2] == [
        (2, ["email", "name"]),
        (3, ["a@b.it", "x,y"]),
    ]


def test_headers_map_by_name_alias_and_custom_field() -> None:
    fields = list_fields((Field("points", "number", True), Field("cap", "text", True)))
    header = ["E-Mail", " COGNOME ", "Data di nascita", "Città", "CAP", "Points", "Boh", "_line", ""]
    mapped = map_columns(header, fields, "email")
    assert mapped.fields == ("email", "surname", "birth_date", "city", "cap", "points")
    assert mapped.ignored == ("Boh",)


def test_an_explicit_mapping_wins_and_may_pass_a_column_over() -> None:
    fields = list_fields(())
    mapped = map_columns(["posta", "nome", "name"], fields, "email", {"Posta": "email", "nome": None})
    assert [(t.index, t.field.name) for t in mapped.targets] == [(0, "email"), (2, "name")]


def test_the_column_that_fills_a_field_is_named_as_it_can_be_shown() -> None:
    fields = list_fields(())
    mapped = with_defaults(
        map_columns([" E-Mail\0 ", "x" * 999], fields, "email", {"x" * 999: "name"}), ["city"], fields
    )
    assert (mapped.column_of("email"), mapped.column_of("name")) == ("E-Mail", "x" * 200)
    assert (mapped.column_of("city"), mapped.column_of("surname")) == (None, None)


@pytest.mark.parametrize(
    ("header", "mapping", "pointer", "code"),
    [
        (["nome", "cognome"], {}, "/file", "columns.no_key"),
        (["email", "e-mail"], {}, "/file", "columns.twice"),
        (["email"], {"telefono": "mobile"}, "/options/mapping/telefono", "mapping.no_such_column"),
        (["email", "a/b"], {"a/b": "shoe"}, "/options/mapping/a~1b", "mapping.no_such_field"),
        (["email", *map(str, range(600))], {}, "/file", "columns.too_many"),
    ],
)
def test_wrong_columns_name_what_is_wrong(
    header: list[str], mapping: dict[str, str], pointer: str, code: str
) -> None:
    with pytest.raises(WrongColumns) as wrong:
        map_columns(header, list_fields(()), "email", mapping)
    assert [(f.pointer, f.code) for f in wrong.value.faults] == [(pointer, code)]


def test_header_texts_are_compared_without_accents_and_case() -> None:
    assert plain("  Data di nàscita ") == "data_di_nascita"
    assert plain("_Line") == "_line"
