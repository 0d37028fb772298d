"""integration: a file walks from the door to its staged rows; what is wrong is named; what contacts says is shown."""

from __future__ import annotations

import csv
import io
import json
import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from ingest_house import Ingest
from mailmaker.common.contracts.internal import CustomField
from mailmaker.common.storage.bulk import copy_in
from mailmaker.common.storage.ids import new_id
from mailmaker.ingest.domain.fields import STAGED_COLUMNS
from mailmaker.ingest.domain.outlines import entries
from mailmaker.ingest.storage.staged import NoSuchPlace, rows_at

GOOD = "email;nome;data_nascita;boh\na@example.it;Niccolò;29/02/1980;x\nb@example.it;Anna;;x\n".encode()


async def test_a_file_is_taken_read_and_announced(ingest: Ingest) -> None:
    sent = await ingest.send(GOOD)
    assert sent.status_code == 202
    taken = sent.json()
    assert (taken["state"], taken["error"], taken["rejects_url"], taken["plan_url"]) == (
        "received",
        None,
        None,
        None,
    )
    assert taken["progress"] == {"done": 0, "total": 2}
    assert taken["file"]["name"] == "../../a file.csv"
    assert ingest.on_disk() == [f"uploads/{taken['id']}"]
    assert await ingest.read()
    assert not await ingest.read()
    seen = await ingest.show(taken["id"])
    assert seen["state"] == "staged"
    assert seen["counts"] == {
        "rows": 2, "created": 0, "updated": 0, "unchanged": 0, "removed": 0, "protected": 0, "rejected": 0, "duplicate": 0,
    }  # fmt: skip
    assert (seen["file"]["encoding"], seen["file"]["delimiter"], seen["file"]["ignored"]) == (
        "utf-8",
        ";",
        ["boh"],
    )
    (event,) = await ingest.told()
    assert (event["type"], event["import_id"], event["staged"]) == ("import.staged", taken["id"], 2)
    assert event["fields"] == ["email", "name", "birth_date"]


async def test_staged_rows_go_into_postgresql_as_they_are(ingest: Ingest) -> None:
    ingest.list_id = ingest.contacts.open_list(
        ingest.account,
        "fkey",
        CustomField(name="note", type="text"),
        CustomField(name="points", type="number"),
    )
    data = b'fkey,cognome,note,points\n"k,""1""","D\'Angelo, ""il"" \\. moro","a\nb","1,5"\nk2,\\N,,\n'
    seen = await ingest.imported(data)
    columns = ", ".join(f"{name} {'jsonb' if name == 'custom' else 'text'}" for name in STAGED_COLUMNS)
    async with ingest.db.platform() as tx:
        await tx.driver.execute(f"CREATE TEMP TABLE pulled ({columns})")
        pulled = await ingest.internal("GET", f"/internal/imports/{seen['id']}/staged")
        assert pulled.status_code == 200

        async def source() -> Any:
            yield pulled.content

        assert await copy_in(tx.driver, "pulled", STAGED_COLUMNS, source()) == 2
        first, second = await tx.driver.fetch("SELECT * FROM pulled ORDER BY line::int")
    assert (first["line"], first["key_text"], first["surname"]) == ("2", 'k,"1"', 'D\'Angelo, "il" \\. moro')
    assert (first["custom"], first["email"]) == ({"note": "a b", "points": 1.5}, None)
    assert (second["line"], second["surname"], second["custom"]) == ("4", "\\N", None)


async def test_rows_are_pulled_by_their_places(ingest: Ingest) -> None:
    long = "x" * 199
    data = (
        f'email,name,city\na@example.it,,\nb@example.it,"È, ""tu""",\nc@example.it,{long},{long}\n'.encode()
    )
    seen = await ingest.imported(data)
    path = f"/internal/imports/{seen['id']}"
    whole = (await ingest.internal("GET", f"{path}/staged")).content
    told = await ingest.internal("GET", f"{path}/outline?form=binary")
    found = list(entries([told.content]))
    assert [(entry.line, entry.key) for entry in found] == [
        (n, f"{key}@example.it".encode()) for n, key in ((2, "a"), (3, "b"), (4, "c"))
    ]
    places = [entry.at for entry in found if entry.at is not None]
    rows = whole.splitlines(keepends=True)
    assert await places_answer(ingest, path, places[2], places[0]) == (200, rows[2] + rows[0])
    assert await places_answer(ingest, path) == (200, b"")
    short = await ingest.internal("POST", f"{path}/staged", content=b"1234567")
    assert (short.status_code, short.json()["errors"][0]["code"]) == (422, "places.broken")
    for wrong in (places[1] + 1, len(whole), -1):
        with pytest.raises(NoSuchPlace):
            [row async for row in rows_at(ingest.files.staged(UUID(seen["id"])), [wrong])]


async def test_a_release_of_contacts_that_knows_no_binary_outline_is_told_it_as_csv(ingest: Ingest) -> None:
    data = b'email;fkey\n;"k,""1"""\na@example.it;k2\nbad;k3\n;k2\n'
    list_id = str(ingest.contacts.open_list(ingest.account, "fkey"))
    seen = await ingest.imported(data, list=list_id, mode="full")
    path = f"/internal/imports/{seen['id']}/outline"
    found = entries([(await ingest.internal("GET", f"{path}?form=binary")).content])
    told = list(csv.reader((await ingest.internal("GET", path)).text.splitlines()))
    assert told == [
        [str(one.line), one.key.decode(), (one.digest or b"").hex(), "" if one.at is None else str(one.at)]
        for one in found
    ]
    assert [row[:2] for row in told] == [["-4", "k3"], ["2", 'k,"1"'], ["3", "k2"]]
    refused = await ingest.internal("GET", f"{path}?form=xml")
    assert refused.status_code == 422


async def places_answer(ingest: Ingest, path: str, *places: int) -> tuple[int, bytes]:
    answer = await ingest.internal("POST", f"{path}/staged", content=struct.pack(f"<{len(places)}q", *places))
    return answer.status_code, answer.content


async def test_what_an_earlier_release_staged_is_told_in_todays_form(ingest: Ingest) -> None:
    seen = await ingest.imported(b"email\na@example.it\n")
    import_id = UUID(seen["id"])
    ingest.files.outline(import_id).unlink()
    empty = "," * 12
    ingest.files.staged(import_id).write_text(
        f'2,a@example.it,a@example.it,{empty}\n-3,"k,""1""",,{empty}\n', encoding="utf-8"
    )
    path = f"/internal/imports/{import_id}/outline"
    for form in ("", "?form=binary"):
        told = await ingest.internal("GET", path + form)
        assert told.text == '2,a@example.it,,\n-3,"k,""1""",,\n'
    ingest.files.outline(import_id).write_text("2,a@example.it,00ff,0\n", encoding="utf-8")
    for form in ("", "?form=binary"):
        assert (await ingest.internal("GET", path + form)).text == "2,a@example.it,00ff,0\n"
    ingest.files.outline(import_id).unlink()
    rows = await ingest.internal("GET", f"/internal/imports/{import_id}/staged")
    assert rows.text == f'2,a@example.it,a@example.it,{empty},\n-3,"k,""1""",,{empty},\n'
    assert all(len(row) == len(STAGED_COLUMNS) for row in csv.reader(rows.text.splitlines()))


async def test_bad_rows_come_back_with_line_field_and_code(ingest: Ingest) -> None:
    data = b"email,birth_date\na@example.it,1980-02-29\nb@example.it,1981-02-29\nA@EXAMPLE.IT,\n"
    seen = await ingest.imported(data)
    assert (seen["counts"]["rows"], seen["counts"]["rejected"], seen["counts"]["duplicate"]) == (3, 1, 1)
    rejects = await ingest.http.get(seen["rejects_url"])
    assert rejects.headers["content-type"].startswith("text/csv")
    row, later = csv.DictReader(io.StringIO(rejects.text))
    assert row == {
        "email": "b@example.it", "birth_date": "1981-02-29", "_line": "3", "_field": "birth_date",
        "_code": "date.impossible", "_message": "no such day in the calendar",
    }  # fmt: skip
    assert later == {
        "email": "A@EXAMPLE.IT", "birth_date": "", "_line": "4", "_field": "email", "_code": "row.duplicate",
        "_message": "line 2 has the same email, and the first row counts",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "options", "status", "pointer", "code"),
    [
        (b"", {}, 422, "/file", "file.empty"),
        (b"email\n", {}, 422, "/file", "file.no_rows"),
        (b"nome\nAnna\n", {}, 422, "/file", "columns.no_key"),
        (b"email,name\na@b.it,\xff\xfe\xfd\x81\n", {}, 422, "/file", "encoding.unknown"),
        (b"email\na@b.it\n", {"list": "nothing"}, 422, "/options/list", "uuid_parsing"),
        (b"email\na@b.it\n", {"list": str(new_id())}, 404, "/options/list", "list.unknown"),
        (b"email\na@b.it\n", {"mode": "mirror"}, 422, "/options/mode", "literal_error"),
        (b"nome\nAnna\n", {"mode": "opt_out"}, 422, "/file", "columns.no_key"),
        (b"email\na@b.it\n", {"mode": "opt_out", "channel": "sms"}, 422, "/file", "columns.no_key"),
        (b"email\na@b.it\n", {"scope": "account"}, 422, "/options/scope", "option.of_opt_out"),
        (
            b"email\na@b.it\n",
            {"mode": "opt_out", "defaults": {"email": "a@b.it"}},
            422,
            "/options/defaults",
            "option.not_of_opt_out",
        ),
        (b"email\na@b.it\n", {"profile": str(new_id())}, 404, "/options/profile", "profile.unknown"),
        (
            b"email\na@b.it\n",
            {"protect_cancellations": False},
            422,
            "/options/lawful_basis",
            "missing",
        ),
        (
            b"email\na@b.it\n",
            {"lawful_basis": {"text": "they asked to come back", "consented_at": "2026-10-01T09:00:00Z"}},
            422,
            "/options/lawful_basis",
            "option.unused",
        ),
        (
            b"email\na@b.it\n",
            {
                "protect_cancellations": False,
                "lawful_basis": {"text": "they asked", "consented_at": "2026-01-01"},
            },
            422,
            "/options/lawful_basis/consented_at",
            "timezone_aware",
        ),
        *(
            (
                b"email\na@b.it\n",
                {"protect_cancellations": False, "lawful_basis": {"text": "they came to our fair", **said}},
                422,
                "/options/lawful_basis/consented_at",
                code,
            )
            for said, code in (
                ({}, "missing"),
                ({"consented_at": None}, "datetime_type"),
                ({"consented_at": "2199-01-01T00:00:00Z"}, "option.in_future"),
                ({"consented_at": "0001-01-01T00:00:00+14:00"}, "value_error"),
            )
        ),
        (b"email\na@b.it\n", {"encoding": "klingon"}, 422, "/options/encoding", "value_error"),
        (
            b"email\na@b.it\n",
            {"mapping": {"mail": "email"}},
            422,
            "/options/mapping/mail",
            "mapping.no_such_column",
        ),
        (b"email\na@b.it\n", {"shoe": 43}, 422, "/options/shoe", "extra_forbidden"),
        (b"email\n" + b"a@b.it\n" * 200_000, {}, 413, "/file", "upload.too_large"),
    ],
)
async def test_what_is_wrong_at_the_door_is_named_and_nothing_is_kept(
    ingest: Ingest, data: bytes, options: dict[str, Any], status: int, pointer: str, code: str
) -> None:
    answer = await ingest.send(data, **options)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]
    assert ingest.on_disk() == []
    assert not await ingest.read()


async def test_a_body_that_is_no_form_is_refused(ingest: Ingest) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nemail'
    form = "multipart/form-data; boundary=x"
    for kind, body in (
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        (form, b"--x\r\ngarbage"),
        (form, part),
        (form, part + b"\r\n--x--\r\n"),
    ):
        answer = await ingest.http.post("/v1/imports", content=body, headers={"content-type": kind})
        assert answer.status_code == 422, answer.text
        assert answer.json()["code"] == "upload.invalid"
    assert ingest.on_disk() == []


async def test_options_may_come_before_or_after_the_file_and_must_be_json(ingest: Ingest) -> None:
    good = json.dumps({"list": str(ingest.list_id), "mode": "full"})
    for fields in (
        [("options", (None, good)), ("file", ("a.csv", GOOD))], [("file", ("a.csv", GOOD)), ("options", (None, good))]
    ):  # fmt: skip
        answer = await ingest.http.post("/v1/imports", files=fields)
        assert answer.status_code == 202, answer.text
    answer = await ingest.http.post("/v1/imports", files={"file": GOOD}, data={"options": "{"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/options")


async def test_the_same_idempotency_key_gives_the_first_answer_and_one_import(ingest: Ingest) -> None:
    key = {"Idempotency-Key": "once"}
    first = await ingest.send(GOOD, headers=key)
    again = await ingest.send(GOOD, headers=key)
    assert again.json() == first.json()
    other = await ingest.send(GOOD + b"c@example.it;C;;\n", headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert ingest.on_disk() == [f"uploads/{first.json()['id']}"]
    assert len((await ingest.http.get("/v1/imports")).json()["items"]) == 1


async def test_another_account_sees_nothing_and_scopes_hold(ingest: Ingest) -> None:
    seen = await ingest.imported(GOOD)
    _, stranger = ingest.contacts.account_key()
    _, reader = ingest.contacts.account_key("imports:read")
    auth = {"Authorization": f"Bearer {stranger}"}
    for path in (f"/v1/imports/{seen['id']}", f"/v1/imports/{seen['id']}/rejects"):
        assert (await ingest.http.get(path, headers=auth)).status_code == 404
    assert (await ingest.http.post(f"/v1/imports/{seen['id']}:cancel", headers=auth)).status_code == 404
    assert (await ingest.http.get("/v1/imports", headers=auth)).json() == {"items": [], "next": None}
    assert (await ingest.send(GOOD, headers=auth)).status_code == 404
    refused = await ingest.send(GOOD, headers={"Authorization": f"Bearer {reader}"})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert (await ingest.http.get(f"/internal/imports/{seen['id']}/staged")).status_code == 401


async def test_imports_are_listed_newest_first_by_pages(ingest: Ingest) -> None:
    made = [(await ingest.send(GOOD)).json()["id"] for _ in range(3)]
    page = (await ingest.http.get("/v1/imports?limit=2")).json()
    rest = (await ingest.http.get("/v1/imports", params={"limit": 2, "cursor": page["next"]})).json()
    assert [one["id"] for one in page["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None
    assert (await ingest.http.get("/v1/imports?cursor=rubbish")).status_code == 422


def word(seen: dict[str, Any], ingest: Ingest, state: str, at: datetime, **more: Any) -> dict[str, Any]:
    """A hand-over of contacts with one word in it."""
    one = {"import_id": seen["id"], "account_id": str(ingest.account), "state": state, "at": at.isoformat()}
    return {"items": [{**one, **more}]}


async def test_contacts_word_moves_the_import_once_and_in_order(ingest: Ingest) -> None:
    seen = await ingest.imported(GOOD)
    path = f"/internal/imports/{seen['id']}/progress"
    now = datetime.now(UTC)
    applied = word(
        seen, ingest, "applied", now, counts={"rows": 9, "created": 1, "unchanged": 1}, done=2, total=2
    )
    for body in (
        applied,
        applied,
        word(seen, ingest, "planned", now - timedelta(seconds=1), counts={"created": 7}),
    ):
        answer = await ingest.internal("POST", path, body)
        assert (answer.status_code, answer.json()) == (200, {"state": "applied"})
    shown = await ingest.show(seen["id"])
    counts = shown["counts"]
    assert (shown["state"], counts["rows"], counts["created"], counts["unchanged"]) == ("applied", 2, 1, 1)
    parts = ("created", "updated", "unchanged", "protected", "rejected", "duplicate")
    assert sum(counts[part] for part in parts) == counts["rows"]
    assert ingest.on_disk() == [f"rejects/{seen['id']}"]
    assert (await ingest.internal("GET", f"/internal/imports/{seen['id']}/staged")).status_code == 404


async def test_a_failure_of_contacts_is_shown(ingest: Ingest) -> None:
    seen = await ingest.imported(GOOD)
    body = word(seen, ingest, "failed", datetime.now(UTC), error_code="list.unknown", error_detail="gone")
    assert (
        await ingest.internal("POST", f"/internal/imports/{seen['id']}/progress", body)
    ).status_code == 200
    shown = await ingest.show(seen["id"])
    assert (shown["state"], shown["error"]) == ("failed", {"code": "list.unknown", "detail": "gone"})


async def test_words_about_unknown_imports_are_refused(ingest: Ingest) -> None:
    seen = {"id": str(new_id())}
    answer = await ingest.internal(
        "POST", f"/internal/imports/{seen['id']}/progress", word(seen, ingest, "applied", datetime.now(UTC))
    )
    assert answer.status_code == 404


async def test_an_import_is_cancelled_before_contacts_has_it(ingest: Ingest) -> None:
    sent = (await ingest.send(GOOD)).json()
    for _ in range(2):
        answer = await ingest.http.post(f"/v1/imports/{sent['id']}:cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert not await ingest.read()
    assert [event["type"] for event in await ingest.told()] == ["import.cancelled"]
    seen = await ingest.imported(GOOD)
    late = await ingest.http.post(f"/v1/imports/{seen['id']}:cancel")
    assert (late.status_code, late.json()["code"]) == (409, "import.state")


async def test_an_approval_is_passed_on_to_contacts(ingest: Ingest) -> None:
    seen = await ingest.imported(GOOD, apply="on_approval")
    path = f"/v1/imports/{seen['id']}:approve"
    early = await ingest.http.post(path)
    assert (early.status_code, early.json()["code"]) == (409, "import.state")
    planned = word(seen, ingest, "planned", datetime.now(UTC), counts={"created": 2})
    await ingest.internal("POST", f"/internal/imports/{seen['id']}/progress", planned)
    for _ in range(2):
        answer = await ingest.http.post(path)
        assert (answer.status_code, answer.json()["state"]) == (200, "planned")
    wanted = f"/internal/accounts/{ingest.account}/imports/{seen['id']}:approve"
    assert ingest.contacts.approved == [wanted, wanted]


async def test_an_undo_is_passed_on_and_only_of_what_was_applied(ingest: Ingest) -> None:
    seen = await ingest.imported(GOOD)
    path = f"/v1/imports/{seen['id']}:undo"
    early = await ingest.http.post(path)
    assert (early.status_code, early.json()["code"]) == (409, "import.state")
    for state, at in (("applied", 1), ("undone", 3), ("applied", 2)):
        if state == "undone":
            for _ in range(2):
                answer = await ingest.http.post(path)
                assert (answer.status_code, answer.json()["state"]) == (202, "applied")
        told = word(seen, ingest, state, datetime.now(UTC) + timedelta(seconds=at), counts={"created": 2})
        await ingest.internal("POST", f"/internal/imports/{seen['id']}/progress", told)
    assert (await ingest.show(seen["id"]))["state"] == "undone"
    wanted = f"/internal/accounts/{ingest.account}/imports/{seen['id']}:undo"
    assert ingest.contacts.approved == [wanted, wanted]


async def test_who_sends_too_much_keeps_the_connection_that_tells_so(ingest: Ingest) -> None:
    # Closing on a client that is still sending makes its kernel throw the answer away.
    headers = {"content-type": "multipart/form-data; boundary=b", "content-length": str(3 * 1024**3)}
    answer = await ingest.http.post("/v1/imports", content=b"--b\r\n", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload.too_large")
    assert "connection" not in answer.headers
