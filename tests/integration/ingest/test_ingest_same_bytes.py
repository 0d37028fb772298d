"""integration: the same bytes again: recognised, and read and planned like any other file."""

from __future__ import annotations

from ingest_house import Ingest

FILE = b"email\na@example.it\nb@example.it\n"


async def test_a_file_that_came_before_names_the_last_import_of_it(ingest: Ingest) -> None:
    first = await ingest.imported(FILE)
    other = await ingest.imported(FILE + b"c@example.it\n")
    second = await ingest.imported(FILE, mode="full")
    third = (await ingest.send(FILE)).json()
    assert [one["same_as"] for one in (first, other, second, third)] == [
        None,
        None,
        first["id"],
        second["id"],
    ]
    assert (second["state"], second["counts"]["rows"]) == ("staged", 2)
    listed = (await ingest.http.get("/v1/imports")).json()["items"]
    assert {one["id"]: one["same_as"] for one in listed} == {
        one["id"]: one["same_as"] for one in (first, other, second, third)
    }
    assert [event["staged"] for event in await ingest.told()] == [2, 3, 2]


async def test_another_lists_or_accounts_file_is_none_of_it(ingest: Ingest) -> None:
    await ingest.imported(FILE)
    elsewhere = str(ingest.contacts.open_list(ingest.account))
    assert (await ingest.imported(FILE, list=elsewhere))["same_as"] is None
    stranger, secret = ingest.contacts.account_key()
    theirs = str(ingest.contacts.open_list(stranger))
    sent = await ingest.send(FILE, headers={"Authorization": f"Bearer {secret}"}, list=theirs)
    assert (sent.status_code, sent.json()["same_as"]) == (202, None)
