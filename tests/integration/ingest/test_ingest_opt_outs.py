"""integration: an opt-out file at the door: whom its rows name is staged, and nothing else of them."""

from __future__ import annotations

import csv
from datetime import datetime

from ingest_house import Ingest

FILE = (
    b"name;cellulare;E-Mail;birth_date;fkey\n"
    b"Anna;;Anna@Example.IT;not a day;\n"
    b"Bruno;347 999 8877;not an address;;\n"
    b'Carla;;;;"C;1"\n'
    b"Dario;06 1234567;;;\n"
    b"Nobody;;;;\n"
    b"Anna again;;anna@example.it;;\n"
    b"Short\n"
)


async def test_whoever_a_row_names_is_staged(ingest: Ingest) -> None:
    seen = await ingest.imported(FILE, mode="opt_out", scope="account")
    assert seen["file"]["fields"] == ["mobile", "email", "fkey"]
    assert seen["file"]["ignored"] == ["name", "birth_date"]
    (event,) = await ingest.told()
    assert (event["mode"], event["scope"], event["channel"]) == ("opt_out", "account", None)
    assert (event["rows"], event["staged"], event["rejected"], event["duplicate"]) == (7, 3, 3, 1)
    assert datetime.fromisoformat(event["received_at"]) == datetime.fromisoformat(seen["created_at"])
    assert event["sent_by"] in {str(row.key_id) for row in ingest.contacts.keys.values()}
    text = (ingest.root / "staged" / seen["id"]).read_text(encoding="utf-8")
    rows = [(int(r[0]), r[2], r[3], r[4], "".join(r[5:-1])) for r in csv.reader(text.splitlines())]
    assert rows == [
        (2, "Anna@example.it", "", "", ""),
        (3, "", "+393479998877", "", ""),
        (4, "", "", "C;1", ""),
    ]
    _, *rejects = csv.reader((await ingest.http.get(seen["rejects_url"])).text.splitlines())
    assert sorted(row[-4:-1] for row in rejects) == [
        ["5", "mobile", "mobile.not_mobile"],
        ["6", "", "row.names_nobody"],
        ["7", "", "row.duplicate"],
        ["8", "", "row.width"],
    ]


async def test_one_channel_is_all_that_is_read(ingest: Ingest) -> None:
    seen = await ingest.imported(FILE, mode="opt_out", channel="sms")
    assert seen["file"]["fields"] == ["mobile", "fkey"]
    (event,) = await ingest.told()
    assert (event["channel"], event["staged"]) == ("sms", 2)


async def test_an_opt_out_is_not_undone(ingest: Ingest) -> None:
    seen = await ingest.imported(FILE, mode="opt_out")
    refused = await ingest.http.post(f"/v1/imports/{seen['id']}:undo")
    assert (refused.status_code, refused.json()["code"]) == (409, "import.opt_out_stands")


async def test_a_stated_basis_travels_with_who_stated_it(ingest: Ingest) -> None:
    basis = {
        "text": "They consented again at the fair of Bologna.",
        "consented_at": "2026-10-01T09:00:00+02:00",
    }
    asked = await ingest.send(
        b"email\na@b.it\n", protect_cancellations=False, lawful_basis={"text": basis["text"]}
    )
    assert "when did these people consent" in asked.json()["errors"][0]["detail"]
    seen = await ingest.imported(b"email\na@b.it\n", protect_cancellations=False, lawful_basis=basis)
    assert seen["options"]["lawful_basis"]["text"] == basis["text"]
    (event,) = await ingest.told()
    assert event["protect_cancellations"] is False
    assert event["lawful_basis"]["text"] == basis["text"]
    told, said = event["lawful_basis"]["consented_at"], basis["consented_at"]
    assert datetime.fromisoformat(told) == datetime.fromisoformat(said)
