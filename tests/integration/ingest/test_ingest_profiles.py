"""integration: saved profiles of imports, and what their options do to a file and to what contacts is told."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from ingest_house import Ingest
from mailmaker.common.contracts.internal import CustomField
from mailmaker.common.storage.ids import new_id
from mailmaker.common.web.call import Call
from mailmaker.ingest.actions.profiles import profile_for

OPTIONS = {
    "mode": "full",
    "mapping": {"Posta": "email", "Boh": None},
    "defaults": {"country": "IT", "city": "Roma"},
    "date_formats": ["%m/%d/%Y"],
    "empty_cells": {"city": "erase", "name": "keep"},
    "guards": {"max_removed_percent": 5, "max_rejected_percent": 2.5},
    "trailer": "TOT;{count};*",
    "split_name": {"column": "Nominativo", "order": "surname_name"},
}
CSV = (
    b"Posta;Nominativo;nascita;city;Boh\na@example.it;De Rossi Maria;12/31/1980;;x\n"
    b"b@example.it;Verdi Anna;31/12/1980;Milano;x\nc@example.it;Neri Ugo;;Bari;\nTOT;3;;;\n"
)


async def saved(ingest: Ingest, **body: Any) -> httpx.Response:
    return await ingest.http.post("/v1/import-profiles", json={"name": "CRM", "options": OPTIONS, **body})


async def test_an_import_by_a_profile_does_what_the_profile_says(ingest: Ingest) -> None:
    profile = (await saved(ingest, list=str(ingest.list_id))).json()
    answer = await ingest.http.post(
        "/v1/imports",
        files={"file": ("a.csv", CSV, "text/csv")},
        data={"options": f'{{"profile": "{profile["id"]}", "apply": "on_approval"}}'},
    )
    assert answer.status_code == 202, answer.text
    assert await ingest.read()
    seen = await ingest.show(answer.json()["id"])
    assert (seen["state"], seen["mode"], seen["counts"]["rows"], seen["counts"]["rejected"]) == (
        "staged",
        "full",
        3,
        1,
    )
    assert seen["options"]["profile"] == profile["id"]
    staged = (await ingest.internal("GET", f"/internal/imports/{seen['id']}/staged")).text.splitlines()
    assert [row.split(",")[1:2] + row.split(",")[5:7] + row.split(",")[8:9] for row in staged if row[0] != "-"] == [
        ["a@example.it", "Maria", "De Rossi", "1980-12-31"], ["c@example.it", "Ugo", "Neri", ""],
    ]  # fmt: skip
    good = [row for row in staged if row[0] != "-"]
    assert ("Roma" in good[0], "Bari" in good[1], [",IT," in row for row in good]) == (
        True,
        True,
        [True, True],
    )
    (told,) = await ingest.told()
    assert (told["mode"], told["apply"], told["findings"], told["empty_cells"]) == (
        "full",
        "on_approval",
        [],
        "keep",
    )
    assert told["empty_cells_by_field"] == {"city": "erase", "name": "keep"}
    assert told["guards"] == {
        "max_removed_percent": 5,
        "max_dropped_percent": None,
        "max_rejected_percent": 2.5,
        "min_contacts": 0,
        "key_changed": True,
    }
    assert (told["key_column"], told["profile_id"]) == ("Posta", profile["id"])
    assert set(told["fields"]) == {"email", "birth_date", "city", "country", "name", "surname"}


async def test_what_is_strange_about_a_file_makes_it_wait(ingest: Ingest) -> None:
    rows = "".join(f"p{n}@example.it;NiccolÃ²;\ufffd\n" for n in range(5))
    seen = await ingest.imported(f"email;nome;boh\n{rows}".encode(), expected_rows=6, trailer="TOT;{count}")
    assert (seen["state"], seen["counts"]["rows"]) == ("staged", 5)
    found = {one["code"]: (one["line"], one["count"]) for one in seen["file"]["findings"]}
    assert found == {
        "file.row_count": (None, 5), "trailer.missing": (None, None),
        "encoding.mojibake": (2, 5), "encoding.replaced": (2, 5),
    }  # fmt: skip
    (told,) = await ingest.told()
    assert ({one["code"] for one in told["findings"]}, told["apply"]) == (set(found), "on_approval")
    counted = await ingest.imported(b"email\na@b.it\nTOT;7\n", trailer="TOT;{count}")
    assert [one["code"] for one in counted["file"]["findings"]] == ["trailer.count"]


async def test_a_full_file_is_guarded_where_nobody_says_how(ingest: Ingest) -> None:
    file = b"Nome;E-Mail\nAnna;a@b.it\n"
    for guards in (None, {"max_removed_percent": None, "key_changed": False}, {"max_removed_percent": 7}):
        seen = await ingest.imported(file, mode="full", **({} if guards is None else {"guards": guards}))
        assert (
            seen["options"]["guards"]["max_removed_percent"]
            == (guards or {"max_removed_percent": 20})["max_removed_percent"]
        )
    await ingest.imported(file, mode="update")
    told = [
        one["guards"] and (one["guards"]["max_removed_percent"], one["guards"]["min_contacts"])
        for one in await ingest.told()
    ]
    assert told == [(20, 10), (None, 0), (7, 0), None]
    assert [one["guards"] and one["guards"]["key_changed"] for one in await ingest.told()] == [
        True, False, True, None,
    ]  # fmt: skip
    assert {(one["key_column"], one["profile_id"]) for one in await ingest.told()} == {("E-Mail", None)}


async def test_profiles_are_kept_changed_and_forgotten(ingest: Ingest) -> None:
    made = await saved(ingest, file_pattern="crm_*.csv")
    assert (made.status_code, made.json()["options"]) == (201, OPTIONS | {"guards": OPTIONS["guards"]})
    path = f"/v1/import-profiles/{made.json()['id']}"
    assert (await saved(ingest)).json()["code"] == "profile.name_taken"
    seen = await ingest.http.get(path)
    assert (seen.json(), seen.headers["etag"]) == (made.json(), '"1"')
    changed = await ingest.http.patch(path, json={"name": "CRM 2"}, headers={"if-match": '"1"'})
    assert (changed.status_code, changed.json()["version"], changed.json()["options"]) == (200, 2, OPTIONS)
    assert (changed.json()["file_pattern"], changed.headers["etag"]) == ("crm_*.csv", '"2"')
    late = await ingest.http.patch(path, json={"file_pattern": None}, headers={"if-match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (412, "version_mismatch")
    assert (await ingest.http.patch(path, json={"file_pattern": None})).json()["file_pattern"] is None
    await saved(ingest, name="B")
    page = (await ingest.http.get("/v1/import-profiles?limit=1")).json()
    rest = (await ingest.http.get("/v1/import-profiles", params={"limit": 5, "cursor": page["next"]})).json()
    assert [one["name"] for one in page["items"] + rest["items"]] == ["CRM 2", "B"]
    assert (await ingest.http.delete(path)).status_code == 204
    assert (await ingest.http.get(path)).json()["code"] == "profile.unknown"


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"date_formats": ["%d/%m"]}, "/options/date_formats"),
        ({"trailer": "the end"}, "/options/trailer"),
        ({"guards": {"max_removed_percent": 101}}, "/options/guards/max_removed_percent"),
        ({"empty_cells": "forget"}, "/options/empty_cells/"),
        ({"list": str(new_id())}, "/options/list"),
        ({"lawful_basis": {"text": "they asked to come back"}}, "/options/lawful_basis"),
    ],
)
async def test_options_that_cannot_be_honoured_are_not_saved(
    ingest: Ingest, options: dict[str, Any], pointer: str
) -> None:
    refused = await saved(ingest, options=options)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"][: len(pointer)]) == (422, pointer)


async def test_a_profile_of_another_account_or_list_is_not_used(ingest: Ingest) -> None:
    profile = (await saved(ingest, list=str(ingest.list_id))).json()
    other_list = str(ingest.contacts.open_list(ingest.account))
    refused = await ingest.send(CSV, list=other_list, profile=profile["id"])
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "profile.other_list")
    _, secret = ingest.contacts.account_key()
    stranger = {"Authorization": f"Bearer {secret}"}
    assert (
        await ingest.http.get(f"/v1/import-profiles/{profile['id']}", headers=stranger)
    ).status_code == 404
    assert (await ingest.http.get("/v1/import-profiles", headers=stranger)).json()["items"] == []
    hidden = await ingest.send(CSV, headers=stranger, profile=profile["id"])
    assert (hidden.status_code, hidden.json()["code"]) == (404, "profile.unknown")


async def test_a_files_name_chooses_the_most_particular_profile(ingest: Ingest) -> None:
    other, call = ingest.contacts.open_list(ingest.account), Call(ingest.account, 1, ingest.account, "test")
    names = {}
    for name, pattern, of, options in (
        ("any", "*.csv", None, {}), ("crm", "crm_*.csv", None, {}), ("mine", "*.csv", ingest.list_id, {}),
        ("none", None, None, {}), ("everywhere", "stop_*.csv", None, {"mode": "opt_out", "scope": "account"}),
    ):  # fmt: skip
        body = {
            "name": name,
            "file_pattern": pattern,
            "list": None if of is None else str(of),
            "options": options,
        }
        names[(await ingest.http.post("/v1/import-profiles", json=body)).json()["id"]] = name

    async def chosen(list_id: UUID | None, file_name: str) -> str | None:
        found = await profile_for(ingest.db, call, list_id, file_name)
        return None if found is None else names[str(found.id)]

    assert await chosen(other, "CRM_2026.CSV") == "crm"
    assert await chosen(other, "x.csv") == "any"
    assert await chosen(other, r"C:\crm_old\x.csv.PGP") == "any"
    assert await chosen(other, "stop_1.csv") == "any"
    assert await chosen(None, "") is None
    assert await chosen(ingest.list_id, "crm_1.csv") == "mine"
    assert await chosen(None, "crm_1.csv") == "mine"
    assert await chosen(other, "x.xlsx") is None
    assert (await ingest.preview(b"email\na@b.it\n")).json()["profile"] is not None


async def test_an_import_uses_the_profile_of_its_name_where_it_says_so(ingest: Ingest) -> None:
    options = {"mapping": {"Posta": "email"}, "mode": "add", "apply": "on_approval"}
    profile = (await saved(ingest, list=str(ingest.list_id), file_pattern="a *.csv", options=options)).json()[
        "id"
    ]
    data = b"Posta\na@example.it\n"
    seen = await ingest.imported(data, profile="by_name", apply="auto")
    said = seen["options"]
    assert (said["profile"], said["mapping"], said["apply"]) == (profile, {"Posta": "email"}, "auto")
    assert seen["mode"] == "incremental", "what the call says wins"
    shown = (await ingest.preview(data, profile="by_name")).json()
    assert (shown["profile"], shown["mapping"], shown["faults"]) == (profile, {"Posta": "email"}, [])
    # Whoever does not ask for it is not mapped otherwise because somebody has saved a profile.
    for unsaid in ({}, {"profile": None}, {"profile": "none"}):
        assert (await ingest.imported(b"email\na@example.it\n", **unsaid))["options"]["profile"] is None
        refused = await ingest.send(data, **unsaid)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "columns.no_key")
    other = str(ingest.contacts.open_list(ingest.account))
    unmatched = await ingest.imported(b"email\na@example.it\n", list=other, profile="by_name")
    assert unmatched["options"]["profile"] is None
    lines = await ingest.http.post(
        f"/v1/imports?list={ingest.list_id}&mode=update&profile=none",
        content=b'{"email": "a@example.it"}\n',
        headers={"content-type": "application/x-ndjson"},
    )
    assert (lines.status_code, lines.json()["options"]["profile"]) == (202, None)


async def test_defaults_and_numbers_are_of_their_fields_kind(ingest: Ingest) -> None:
    fields = (CustomField(name="points", type="number"), CustomField(name="vip", type="boolean"))
    list_id = str(ingest.contacts.open_list(ingest.account, "email", *fields))
    wrong = await ingest.send(b"email\na@b.it\n", list=list_id, defaults={"points": "many"})
    assert wrong.json()["errors"][0]["pointer"] == "/options/defaults/points"
    unknown = await ingest.send(b"email\na@b.it\n", list=list_id, defaults={"shoe": "43"})
    assert unknown.json()["errors"][0]["code"] == "mapping.no_such_field"
    seen = await ingest.imported(
        b"email;points\na@b.it;1.234,5\nb@b.it;\n",
        list=list_id,
        decimal=",",
        defaults={"points": "7", "vip": "no"},
    )
    staged = (await ingest.internal("GET", f"/internal/imports/{seen['id']}/staged")).text
    assert '""points"":1234.5' in staged
    assert '""points"":7' in staged
    assert staged.count('""vip"":false') == 2
