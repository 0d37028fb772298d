"""integration: a file of a list that holds an earlier one's lines is told by its lines; contacts says which ones to read."""

from __future__ import annotations

import csv
import io
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from ingest_house import Ingest
from mailmaker.ingest.domain.outlines import END, HEAD, entries

HEADER = b"email,name,birth_date\n"
FIRST = HEADER + b"".join(b"p%d@example.it,Ada,\n" % n for n in range(6))
_ENTRY = struct.Struct(">hiii16s")


async def applied(ingest: Ingest, data: bytes, *, holds_lines: bool = True, **counts: int) -> str:
    """A file that contacts has applied."""
    seen = await ingest.imported(data)
    return await progress(ingest, seen["id"], holds_lines=holds_lines, **counts)


async def progress(ingest: Ingest, import_id: str, *, holds_lines: bool = True, **counts: int) -> str:
    """contacts' word that it is applied."""
    word = {
        "import_id": import_id,
        "account_id": str(ingest.account),
        "state": "applied",
        "counts": counts,
        "holds_lines": holds_lines,
        "at": datetime.now(UTC).isoformat(),
    }
    path = f"/internal/imports/{import_id}"
    assert (await ingest.internal("POST", f"{path}/progress", {"items": [word]})).status_code == 200
    return path


async def lines_of(ingest: Ingest, path: str) -> dict[int, bytes]:
    answer = await ingest.internal("GET", f"{path}/lines")
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(HEAD)
    assert answer.content.endswith(END)
    body = answer.content[len(HEAD) : -len(END)]
    return {line: digest for _, _, line, _, digest in _ENTRY.iter_unpack(body)}


async def told_by_lines(ingest: Ingest, data: bytes, **options: Any) -> tuple[dict[str, Any], str]:
    seen = await ingest.imported(data, **options)
    event = (await ingest.told())[-1]
    assert (event["import_id"], event["by_line"]) == (seen["id"], True), event
    assert (event["rows"], event["staged"], event["rejected"], event["duplicate"]) == (event["rows"],) * 2 + (
        0,
        0,
    )
    return seen, f"/internal/imports/{seen['id']}"


async def outline(ingest: Ingest, path: str) -> list[tuple[int, str]]:
    answer = await ingest.internal("GET", f"{path}/outline?form=binary")
    assert answer.status_code == 200, answer.text
    return [(one.line, one.key.decode()) for one in entries([answer.content])]


async def test_only_the_lines_that_contacts_wants_are_read(ingest: Ingest) -> None:
    await applied(ingest, FIRST)
    lines = FIRST.splitlines(keepends=True)[:0:-1]
    new = [
        b"p1@example.it,Bea,\n",
        b'x@example.it,"Zo\xc3\xab, B",\n',
        b"y@example.it,Ada,31/02/1980\n",
        b"x@example.it,,\n",
    ]
    seen, path = await told_by_lines(ingest, HEADER + b"".join([*lines, b"\n", *new]), mode="full")
    assert (seen["state"], seen["counts"]["rows"], seen["counts"]["rejected"]) == ("staged", 10, 0)
    found = await lines_of(ingest, path)
    assert [*found] == [2, 3, 4, 5, 6, 7, 9, 10, 11, 12]
    kept = {name for name in ingest.on_disk() if seen["id"] in name}
    assert kept == {f"{kind}/{seen['id']}" for kind in ("lines", "rejects", "uploads")}
    assert (await ingest.internal("GET", f"{path}/outline")).status_code == 404
    # As long as none is read, no row is refused.
    rejects = await ingest.http.get(seen["rejects_url"])
    assert rejects.text == "email,name,birth_date,_line,_field,_code,_message\r\n"

    read = (await ingest.internal("POST", f"{path}/read", {"lines": [9, 10, 11, 12]})).json()
    assert {name: read[name] for name in ("joined", "rows", "staged", "rejected", "duplicate", "named")} == {
        "joined": False, "rows": 4, "staged": 2, "rejected": 1, "duplicate": 1, "named": 1,
    }  # fmt: skip
    assert sorted(await outline(ingest, path)) == [
        (-11, "y@example.it"),
        (9, "p1@example.it"),
        (10, "x@example.it"),
    ]
    rows = (await ingest.internal("GET", f"{path}/staged")).text.splitlines()
    assert [row.split(",")[0] for row in rows] == ["9", "10"]
    seen = await ingest.show(seen["id"])
    assert (seen["counts"]["rejected"], seen["counts"]["duplicate"]) == (1, 1)
    told = csv.DictReader(io.StringIO((await ingest.http.get(seen["rejects_url"])).text))
    assert [(row["_line"], row["_field"]) for row in told] == [("11", "birth_date"), ("12", "email")]
    # The answer was lost: it is asked again, now for less.
    again = (await ingest.internal("POST", f"{path}/read", {"lines": [9]})).json()
    assert (again["rows"], again["staged"], again["rejected"]) == (1, 1, 0)
    assert await outline(ingest, path) == [(9, "p1@example.it")]
    whole = (await ingest.internal("POST", f"{path}/read", {"lines": None})).json()
    assert (whole["rows"], whole["staged"], whole["duplicate"]) == (10, 7, 2)


async def test_a_line_that_is_no_record_by_itself_has_the_file_read_whole(ingest: Ingest) -> None:
    await applied(ingest, FIRST)
    seen, path = await told_by_lines(ingest, FIRST + b'z@example.it,"Zo\nra",\n')
    assert seen["counts"]["rows"] == 8
    read = (await ingest.internal("POST", f"{path}/read", {"lines": [8, 9]})).json()
    assert (read["joined"], read["rows"]) == (True, 0)
    assert (await ingest.internal("GET", f"{path}/outline")).status_code == 404
    read = (await ingest.internal("POST", f"{path}/read", {"lines": None})).json()
    assert (read["joined"], read["rows"], read["staged"]) == (False, 7, 7)
    assert (await ingest.show(seen["id"]))["counts"]["rows"] == 7
    assert (await outline(ingest, path))[-1] == (8, "z@example.it")


async def test_a_file_that_ends_in_an_open_quote_is_told_as_unreadable(ingest: Ingest) -> None:
    # Far from its head, which is looked at when it comes.
    many = HEADER + b"".join(b"p%d@example.it,Ada,\n" % n for n in range(5_000))
    await applied(ingest, many)
    _, path = await told_by_lines(ingest, many + b'z@example.it,"Zora,\n')
    assert (await ingest.internal("POST", f"{path}/read", {"lines": [5_002]})).json()["joined"]
    read = (await ingest.internal("POST", f"{path}/read", {"lines": None})).json()
    assert (read["joined"], read["error_code"]) == (False, "quote.unclosed")
    assert (await ingest.internal("GET", f"{path}/outline")).status_code == 404


@pytest.mark.parametrize(
    "why", ["contacts keeps no digests", "a key came twice", "other columns", "opt-outs", "twice"]
)
async def test_else_a_file_is_read_whole(ingest: Ingest, why: str) -> None:
    holds = why != "contacts keeps no digests"
    await applied(
        ingest, FIRST + (b"p1@example.it,Bea,\n" if why == "a key came twice" else b""), holds_lines=holds
    )
    data, options = FIRST, {}
    if why == "other columns":
        data = FIRST.replace(b"name", b"surname")
    elif why == "opt-outs":
        options = {"mode": "opt_out"}
    elif why == "twice":
        data = FIRST + b"p5@example.it,Ada,\n"
    seen = await ingest.imported(data, **options)
    event = (await ingest.told())[-1]
    assert (event["import_id"], event["by_line"], event["staged"]) == (seen["id"], False, 6)
    path = f"/internal/imports/{seen['id']}"
    assert (await ingest.internal("GET", f"{path}/lines")).status_code == 404
    assert (await ingest.internal("POST", f"{path}/read", {"lines": [2]})).status_code == 404


async def test_nothing_of_a_file_stays_once_it_is_applied(ingest: Ingest) -> None:
    await applied(ingest, FIRST)
    seen, path = await told_by_lines(ingest, FIRST)
    assert (await ingest.internal("POST", f"{path}/read", {"lines": [3]})).status_code == 200
    await progress(ingest, seen["id"])
    assert {name.split("/")[0] for name in ingest.on_disk()} == {"rejects"}
