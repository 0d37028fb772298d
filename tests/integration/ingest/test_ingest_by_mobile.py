"""integration: a file for a list whose key is the mobile number: numbers are one key however they are written."""

from __future__ import annotations

import csv
import io

from ingest_house import Ingest
from mailmaker.ingest.domain.fields import STAGED_COLUMNS
from mailmaker.ingest.domain.outlines import Entry, entries

FILE = (
    "Cellulare;Nome;E-Mail\n"
    "347 123 4567;Anna;anna@example.it\n"
    "0039-348-1234567;Bruno;\n"
    "+44 7400 123456;Carla;not an address\n"
    "+393471234567;Anna again;anna@example.it\n"
    "06 1234567;Land line;\n"
    ";Nobody;nobody@example.it\n"
    "+44 7400 123457;Dora;anna@example.it\n"
)


async def test_a_number_is_the_key_of_a_row(ingest: Ingest) -> None:
    list_id = str(ingest.contacts.open_list(ingest.account, "mobile"))
    seen = await ingest.imported(FILE.encode(), list=list_id, mode="full")
    counts = {name: many for name, many in seen["counts"].items() if many}
    assert counts == {"rows": 7, "rejected": 3, "duplicate": 1}
    text = (ingest.root / "staged" / seen["id"]).read_text(encoding="utf-8")
    rows = [dict(zip(STAGED_COLUMNS, cells, strict=True)) for cells in csv.reader(text.splitlines())]
    assert [(row["line"], row["key_text"], row["mobile"], row["email"], row["name"]) for row in rows] == [
        ("2", "+393471234567", "+393471234567", "anna@example.it", "Anna"),
        ("3", "+393481234567", "+393481234567", "", "Bruno"),
        ("8", "+447400123457", "+447400123457", "anna@example.it", "Dora"),
    ]
    (event,) = await ingest.told()
    assert (event["staged"], event["rejected"], event["duplicate"], event["named"]) == (3, 3, 1, 1)
    outline = entries([(ingest.root / "outlines" / seen["id"]).read_bytes()])
    assert [entry for entry in outline if entry.line < 0] == [Entry(-4, None, None, b"+447400123456")]
    rejects = csv.DictReader(io.StringIO((await ingest.http.get(seen["rejects_url"])).text))
    assert [(row["_line"], row["_field"], row["_code"]) for row in rejects] == [
        ("4", "email", "address.invalid"),
        ("6", "mobile", "mobile.not_mobile"),
        ("7", "mobile", "key.missing"),
        ("5", "mobile", "row.duplicate"),
    ]


async def test_a_file_without_a_column_of_numbers_is_refused(ingest: Ingest) -> None:
    list_id = str(ingest.contacts.open_list(ingest.account, "mobile"))
    refused = await ingest.send(b"email;nome\na@example.it;Anna\n", list=list_id)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "columns.no_key")
