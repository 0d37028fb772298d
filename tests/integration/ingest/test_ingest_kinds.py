"""integration: a file of each kind is told by its bytes and read alike; what is a trap is refused by code, once."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import ingest_books
import pytest
import xlsxwriter
from ingest_house import Ingest
from mailmaker.common.contracts.internal import CustomField
from mailmaker.ingest.domain.fields import STAGED_COLUMNS

CSV = "email;nome;data di nascita;CAP\na@example.it;Niccolò;29/02/1980;00184\nb@example.it;Anna;;20121\n".encode()
JSON_LINES = (
    b'{"email": "a@example.it", "nome": "Niccol\\u00f2", "CAP": "00184"}\n'
    b'{"email": "b@example.it", "CAP": 20121, "nome": null}\n'
)


def workbook(*rows: list[Any], sheet: str = "Dati", hidden: bool = False) -> bytes:
    """An XLSX file; a text that begins with `=` is a formula that failed."""
    made = io.BytesIO()
    with xlsxwriter.Workbook(made) as book:
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        if hidden:
            first = book.add_worksheet("Nascosto")
            first.write(0, 0, "email")
            first.hide()
        book.add_worksheet("Vuoto")
        page = book.add_worksheet(sheet)
        page.activate()
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if isinstance(cell, date):
                    page.write_datetime(number, column, cell, day)
                elif isinstance(cell, str) and cell.startswith("="):
                    page.write_formula(number, column, cell, None, "#N/A")
                elif isinstance(cell, str):
                    page.write_string(number, column, cell)
                else:
                    page.write(number, column, cell)
    return made.getvalue()


def zipped(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return made.getvalue()


SHEET = workbook(
    ["Email", "Nome", "Data di nascita", "CAP"],
    ["a@example.it", "Niccolò", date(1980, 2, 29), "00184"],
    ["b@example.it", "Anna\nMaria", None, 20121],
    hidden=True,
)


async def staged(ingest: Ingest, seen: dict[str, Any]) -> list[str]:
    answer = await ingest.internal("GET", f"/internal/imports/{seen['id']}/staged")
    assert answer.status_code == 200
    return answer.text.splitlines()


@pytest.mark.parametrize(
    ("data", "kind", "packed"),
    [
        (CSV, "csv", None),
        (gzip.compress(CSV), "csv", "gzip"),
        (gzip.compress(CSV[:20]) + gzip.compress(CSV[20:]) + bytes(9), "csv", "gzip"),
        (zipped(**{"../../etc/passwd": CSV, "__MACOSX/._x": b"junk"}), "csv", "zip"),
        (SHEET, "xlsx", None),
        (gzip.compress(SHEET), "xlsx", "gzip"),
        (zipped(book=SHEET), "xlsx", "zip"),
        (JSON_LINES, "json_lines", None),
        (gzip.compress(JSON_LINES), "json_lines", "gzip"),
    ],
    ids=["csv", "csv.gz", "two members.gz", "csv.zip", "xlsx", "xlsx.gz", "xlsx.zip", "jsonl", "jsonl.gz"],
)
async def test_one_list_in_every_kind(ingest: Ingest, data: bytes, kind: str, packed: str | None) -> None:
    seen = await ingest.imported(data)
    file = seen["file"]
    assert (seen["state"], seen["error"], file["kind"], file["packed"]) == ("staged", None, kind, packed)
    assert (file["sheet"], file["encoding"]) == (
        "Dati" if kind == "xlsx" else None,
        "utf-8" if kind == "csv" else None,
    )
    rows = await staged(ingest, seen)
    assert [row.split(",")[2] for row in rows] == ["a@example.it", "b@example.it"]
    assert ["00184" in rows[0], "20121" in rows[1], "Niccolò" in rows[0]] == [True, True, True]
    assert all("1980-02-29" in row for row in rows[:1] if kind != "json_lines")
    assert ingest.on_disk() == [
        f"{place}/{seen['id']}" for place in ("outlines", "rejects", "staged", "uploads")
    ]


def told_by(rows: list[str]) -> list[dict[str, str]]:
    """Staged rows by their columns, those that say something."""
    found = [dict(zip(STAGED_COLUMNS, cells, strict=True)) for cells in csv.reader(rows)]
    return [{name: cell for name, cell in row.items() if cell and name != "digest"} for row in found]


@pytest.mark.parametrize("kind", ["xls", "xlsb", "ods"])
async def test_a_workbook_of_another_kind_is_read_cell_by_cell(ingest: Ingest, kind: str) -> None:
    write = {"xls": ingest_books.xls, "xlsb": ingest_books.xlsb, "ods": ingest_books.ods}[kind]
    data = write([
        ["Email", "Nome", "Data di nascita", "CAP", "Codice", "Punti"],
        ["a@example.it", "Niccolò", date(1980, 2, 29), "00184", 7.0, 1.5],
        [None, None, None, None, None, None],
        ["b@example.it", 'Anna "Lia"\nMaria', None, 20121.0, "k;2", -3.0],
        ["c@example.it", "X", date(2400, 1, 1), "", 12345678901234567890.0, None],
    ])  # fmt: skip
    points = CustomField(name="points", type="number")
    list_id = str(ingest.contacts.open_list(ingest.account, "email", points))
    mapping = {"Codice": "fkey", "Punti": "points"}
    seen = await ingest.imported(data, list=list_id, mapping=mapping)
    assert (seen["state"], seen["file"]["kind"], seen["file"]["sheet"]) == ("staged", kind, "Dati")
    assert told_by(await staged(ingest, seen)) == [
        {
            "line": "2", "key_text": "a@example.it", "email": "a@example.it", "name": "Niccolò", "fkey": "7",
            "birth_date": "1980-02-29", "postal_code": "00184", "custom": '{"points":1.5}',
        },
        {
            "line": "4", "key_text": "b@example.it", "email": "b@example.it", "name": 'Anna "Lia" Maria',
            "postal_code": "20121", "fkey": "k;2", "custom": '{"points":-3}',
        },
    ]  # fmt: skip
    (refused,) = csv.DictReader(io.StringIO((await ingest.http.get(seen["rejects_url"])).text))
    assert (refused["_line"], refused["Email"], refused["Data di nascita"]) == (
        "5",
        "c@example.it",
        "2400-01-01",
    )
    assert ("fkey" in refused["_message"], "birth_date" in refused["_message"]) == (True, True)
    packed = await ingest.imported(gzip.compress(data), list=list_id, mapping=mapping)
    assert (packed["file"]["kind"], packed["file"]["packed"]) == (kind, "gzip")
    assert await staged(ingest, packed) == await staged(ingest, seen)


NAMES = ("Niccolò", "Zoë", "Giosuè", "Mosè", "Desirée", "Cantù", "Perché «no»")


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("cp1252", "cp1252"),
        ("mac_roman", "mac_roman"),
    ],
)
async def test_characters_and_delimiters_are_told_from_the_bytes(
    ingest: Ingest, encoding: str, told: str
) -> None:
    for delimiter, ends in ((",", "\r\n"), (";", "\r\n"), ("\t", "\n"), ("|", "\r")):
        rows = [
            f'a{n}@example.it{delimiter}{name}{delimiter}"Forlì{delimiter}FC"' for n, name in enumerate(NAMES)
        ]
        text = ends.join((f"email{delimiter}nome{delimiter}città", *rows)) + ends
        # Of UTF-16 that names its order itself.
        mark = "\ufeff" if encoding == "utf-16-be" else ""
        seen = await ingest.imported((mark + text).encode(encoding))
        file = seen["file"]
        assert (file["encoding"], file["delimiter"], file["findings"]) == (told, delimiter, [])
        assert told_by(await staged(ingest, seen)) == [
            {
                "line": str(n + 2), "key_text": f"a{n}@example.it", "email": f"a{n}@example.it", "name": name,
                "city": f"Forlì{delimiter.strip() or ' '}FC",
            }
            for n, name in enumerate(NAMES)
        ]  # fmt: skip


async def test_what_no_byte_tells_the_client_may_name(ingest: Ingest) -> None:
    data = "email;nome\na@example.it;Niccolò\n".encode("mac_roman")
    seen = await ingest.imported(data, encoding="mac-roman", delimiter=";")
    assert (seen["file"]["encoding"], seen["file"]["delimiter"]) == ("mac-roman", ";")
    assert [row["name"] for row in told_by(await staged(ingest, seen))] == ["Niccolò"]


async def test_cells_of_a_sheet_become_what_they_mean(ingest: Ingest) -> None:
    data = workbook(
        [],
        ["email", "cellulare", "fkey", "nome"],
        ["a@example.it", 3481234567, 20121.0, True],
        ["b@example.it", "3,48E+11", "k2", "x"],
        ["c@example.it", 12345678901234567890, "k3", "x"],
        ["d@example.it", "'+393481234568", "'0012", "x"],
        ["e@example.it", "", "k5", "=NA()"],
    )
    seen = await ingest.imported(data)
    rows = [row.split(",") for row in await staged(ingest, seen)]
    assert [row[:6] for row in rows] == [
        ["3", "a@example.it", "a@example.it", "+393481234567", "20121", "true"],
        ["6", "d@example.it", "d@example.it", "+393481234568", "0012", "x"],
    ]
    refused = (await ingest.http.get(seen["rejects_url"])).text.splitlines()[1:]
    told = [tuple(line.split(",", 7)[-4 if line.count(",") == 7 else 4 :][:3]) for line in refused]
    assert [one for line in refused for one in ("number.rounded", "cell.error") if one in line] == [
        "number.rounded", "number.rounded", "cell.error"
    ], told  # fmt: skip


async def test_a_sheet_is_chosen_by_name_or_number(ingest: Ingest) -> None:
    for sheet in ("dati", 3, "3"):
        assert (await ingest.imported(SHEET, sheet=sheet))["file"]["sheet"] == "Dati"
    refused = await ingest.send(SHEET, sheet="Soci")
    assert (refused.status_code, refused.json()["code"]) == (422, "sheet.unknown")
    assert refused.json()["errors"][0]["pointer"] == "/options/sheet"
    assert "'Nascosto', 'Vuoto', 'Dati'" in refused.json()["detail"]


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _far_cell() -> bytes:
    """Two cells at the ends of a sheet: less than 2 kB that are 17 thousand million cells."""
    book = zipfile.ZipFile(io.BytesIO(workbook(["email"], ["a@example.it"])))
    parts = {name: book.read(name) for name in book.namelist()}
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    parts["xl/worksheets/sheet2.xml"] = parts["xl/worksheets/sheet2.xml"].replace(b"</sheetData>", far)
    return zipped(**parts)


def _lying_directory() -> bytes:
    """A workbook whose part says that it is small, and is not."""
    data = bytearray(_with_strings(b"<t>" + b"A" * (120 << 20) + b"</t>"))
    at = data.rindex(b"xl/sharedStrings.xml") - 46
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    return bytes(data)


def _with_strings(inner: bytes) -> bytes:
    book = zipfile.ZipFile(io.BytesIO(SHEET))
    parts = {name: book.read(name) for name in book.namelist()}
    parts["xl/sharedStrings.xml"] = parts["xl/sharedStrings.xml"].replace(b"<si>", b"<si>" + inner, 1)
    return zipped(**parts)


def _laughs() -> bytes:
    """Entities within entities (a billion laughs)."""
    book = zipfile.ZipFile(io.BytesIO(SHEET))
    parts = {name: book.read(name) for name in book.namelist()}
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    head = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{levels}]>'.encode()
    strings = parts["xl/sharedStrings.xml"].split(b"?>", 1)[1].replace(b"<t>", b"<t>&l9;", 1)
    parts["xl/sharedStrings.xml"] = head + strings
    return zipped(**parts)


def _encrypted() -> bytes:
    data = bytearray(zipped(a=CSV))
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


TRAPS = {
    "far cell": (_far_cell, {"file.too_large_unpacked"}),
    "long string": (lambda: _with_strings(b"<t>" + b"A" * (120 << 20) + b"</t>"), {"file.bomb"}),
    "lying directory": (_lying_directory, {"file.bomb", "file.broken", "file.too_large_unpacked"}),
    "laughs": (_laughs, {"file.broken"}),
    "gzip bomb": (lambda: gzip.compress(bytes(200 << 20)), {"file.bomb"}),
    "zip bomb": (lambda: zipped(a=bytes(200 << 20)), {"file.bomb"}),
    "cut gzip": (lambda: _cut(gzip.compress(CSV)), {"file.broken"}),
    "cut zip": (lambda: _cut(zipped(a=CSV)), {"file.broken"}),
    "cut workbook": (lambda: _cut(SHEET), {"file.broken"}),
    "encrypted": (_encrypted, {"file.encrypted"}),
    "two members": (lambda: zipped(a=CSV, b=CSV), {"zip.members"}),
    "twice packed": (lambda: gzip.compress(gzip.compress(CSV)), {"file.packed_twice"}),
    "html": (lambda: b"<html><table><tr><td>email", {"file.kind"}),
    "pdf": (lambda: b"%PDF-1.7 ...", {"file.kind"}),
    "old excel": (lambda: b"\x09\x04\x06\x00\x00\x00\x10\x00" + bytes(100), {"file.kind"}),
    "no workbook": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), {"file.broken"}),
    "array": (lambda: b'[{"email": "a@b.it"}]', {"json.array"}),
    "nested": (lambda: b'{"email": "a@b.it"}\n{"email": {"at": "b"}}\n', {"json.nested"}),
    "half object": (lambda: b'{"email": "a@b.it"}\n{"email"\n', {"json.broken"}),
    "deep": (lambda: b'{"a": ' + b"[" * 100_000, {"json.broken"}),
    "key twice": (lambda: b'{"email": "a@b.it", "email": "b@b.it"}\n', {"json.key_twice"}),
}


@pytest.mark.parametrize("name", TRAPS)
async def test_a_trap_is_refused_by_code_and_nothing_is_kept(ingest: Ingest, name: str) -> None:
    make, codes = TRAPS[name]
    refused = await ingest.send(await asyncio.to_thread(make))
    assert (refused.status_code, refused.json()["code"] in codes) == (422, True), refused.text
    assert refused.json()["errors"][0]["pointer"] == "/file"
    assert ingest.on_disk() == []
    assert not await ingest.read()
    assert (await ingest.imported(CSV))["state"] == "staged"


async def test_json_lines_may_be_the_body(ingest: Ingest) -> None:
    headers = {"content-type": "application/x-ndjson", "idempotency-key": "k1"}
    query = {"list": str(ingest.list_id), "mode": "full", "mapping": json.dumps({"nome": "surname"})}
    first, again = [
        await ingest.http.post("/v1/imports", params=query, content=JSON_LINES, headers=headers)
        for _ in range(2)
    ]
    assert (first.status_code, first.json()) == (202, again.json())
    assert await ingest.read()
    seen = await ingest.show(first.json()["id"])
    assert (seen["file"]["kind"], seen["file"]["fields"], seen["counts"]["rows"]) == (
        "json_lines", ["email", "surname", "postal_code"], 2
    )  # fmt: skip
    assert [row.split(",")[0] for row in await staged(ingest, seen)] == ["1", "2"]
    wrong = await ingest.http.post(
        "/v1/imports", params={**query, "mode": "mirror"}, content=b"", headers=headers
    )
    assert wrong.json()["errors"][0]["pointer"] == "/options/mode"
    headers["idempotency-key"] = "k2"
    other = await ingest.http.post(
        "/v1/imports", params=query, content=b'{"email": ["x"]}\n', headers=headers
    )
    assert (other.json()["code"], other.json()["detail"][:7]) == ("json.nested", "line 1:")


async def test_a_preview_shows_the_file_and_keeps_nothing(ingest: Ingest) -> None:
    data = (
        b"Cognome;E-mail;Data di nascita;Cellulare;CAP;Provincia;Boh\nRossi;a@b.it;31/02/1980;12;20121;MI;x\n"
    )
    shown = await ingest.preview(data + b"Verdi;b@b.it;1/2/1980;;;;\n" * 30)
    assert shown.status_code == 200, shown.text
    seen = shown.json()
    assert (seen["kind"], seen["encoding"], seen["delimiter"], len(seen["rows"])) == ("csv", "utf-8", ";", 20)
    assert seen["mapping"] == {
        "Cognome": "surname", "E-mail": "email", "Data di nascita": "birth_date", "Cellulare": "mobile",
        "CAP": "postal_code", "Provincia": "province",
    }  # fmt: skip
    assert seen["ignored"] == ["Boh"]
    first = seen["problems"][0]
    assert (first["line"], first["field"], first["code"]) == (2, "birth_date", "date.impossible")
    assert {one["field"] for one in seen["problems"]} == {"birth_date", "mobile"}
    assert (seen["faults"], ingest.on_disk()) == ([], [])
    assert (await ingest.http.get("/v1/imports")).json()["items"] == []
    keyless = (await ingest.preview(b"nome;boh\nAnna;x\n")).json()
    assert [one["code"] for one in keyless["faults"]] == ["columns.no_key"]
    assert keyless["rows"] == [{"line": 2, "cells": ["Anna", "x"]}]
    book = (await ingest.preview(SHEET)).json()
    assert (book["kind"], book["sheets"], book["sheet"]) == ("xlsx", ["Nascosto", "Vuoto", "Dati"], "Dati")
    assert book["rows"][0]["cells"] == ["a@example.it", "Niccolò", "1980-02-29", "00184"]
    assert (await ingest.preview(b"%PDF-1")).status_code == 422


async def test_a_child_that_dies_of_a_file_is_not_started_again(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    killer = tmp_path / "killer"
    killer.write_text(f"#!/bin/sh\nread line\necho x >> {starts}\nkill -ABRT $$\n")
    killer.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(killer))
    refused = await ingest.send(CSV)
    assert (refused.status_code, refused.json()["code"]) == (422, "file.too_large_unpacked")
    assert starts.read_text() == "x\n"
    starts.unlink()
    killer.unlink()
    assert ingest.on_disk() == []
