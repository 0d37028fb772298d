"""integration: somebody was erased: no file of the list names the person longer than an import needs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ingest_drops import Dropping
from ingest_house import Ingest
from mailmaker.common.contracts.contacts import ContactsErased
from mailmaker.common.contracts.internal import CustomField
from mailmaker.common.storage.engine import AlreadyHeard, Heard
from mailmaker.common.storage.ids import new_id
from mailmaker.common.testing.traces import files_naming, tables_naming
from mailmaker.ingest.actions.forget_people import hear_erased
from mailmaker.ingest.actions.sweep import Sweeper

PERSON = ("zaira.erased@example.it", "Zaira", "3479998877")
FILE = b"email,name,mobile\nzaira.erased@example.it,Zaira,3479998877\nnobody,Zaira,3479998877\n"


def erased(ingest: Ingest, at: datetime | None = None) -> ContactsErased:
    return ContactsErased(
        account_id=ingest.account,
        occurred_at=at or datetime.now(UTC) + timedelta(seconds=1),
        list_id=ingest.list_id,
        contact_ids=(new_id(),),
    )


async def _over(ingest: Ingest, import_id: str, state: str) -> None:
    await ingest.run(
        "UPDATE imports SET state = :state WHERE id = CAST(:id AS uuid)", state=state, id=import_id
    )


async def test_files_of_imports_that_are_over_go_at_once_the_others_when_they_are(ingest: Ingest) -> None:
    done, waits = await ingest.imported(FILE), await ingest.imported(FILE)
    await _over(ingest, done["id"], "applied")
    assert (await ingest.http.get(done["rejects_url"])).status_code == 200
    other_list = ingest.list_id
    ingest.list_id = ingest.contacts.open_list(ingest.account)
    elsewhere = await ingest.imported(b"email\nbob@example.it\nnobody\n")
    await _over(ingest, elsewhere["id"], "applied")
    ingest.list_id = other_list

    event = erased(ingest)
    await hear_erased(ingest.db, ingest.files, event, Heard("ingest", event.event_id))
    assert {name.split("/")[1] for name in files_naming(ingest.root, PERSON)} == {waits["id"]}
    gone = await ingest.http.get(done["rejects_url"])
    assert (gone.status_code, gone.json()["code"]) == (404, "rejects.none")
    assert f"rejects/{elsewhere['id']}" in ingest.on_disk()
    with pytest.raises(AlreadyHeard):
        await hear_erased(ingest.db, ingest.files, event, Heard("ingest", event.event_id))

    await Sweeper(ingest.db, ingest.files).sweep()
    assert files_naming(ingest.root, PERSON) != [], "an import under way keeps its rows"
    await _over(ingest, waits["id"], "cancelled")
    await Sweeper(ingest.db, ingest.files).sweep()
    assert files_naming(ingest.root, PERSON) == []
    assert await tables_naming(ingest.db, PERSON) == []


async def test_a_file_that_came_after_the_erasure_is_kept(ingest: Ingest) -> None:
    event = erased(ingest, datetime.now(UTC) - timedelta(hours=1))
    await hear_erased(ingest.db, ingest.files, event, Heard("ingest", event.event_id))
    later = await ingest.imported(FILE)
    await _over(ingest, later["id"], "applied")
    await Sweeper(ingest.db, ingest.files).sweep()
    assert f"rejects/{later['id']}" in ingest.on_disk()


async def test_staged_rows_carry_a_fields_key_whatever_its_name_is(ingest: Ingest) -> None:
    ingest.list_id = ingest.contacts.open_list(
        ingest.account, "email", CustomField(name="score", type="number", key="points"),
        CustomField(name="points", type="number", key="1"),
    )  # fmt: skip
    seen = await ingest.imported(b"email,score,points\na@example.it,5,7\n")
    text = (ingest.root / "staged" / seen["id"]).read_text()
    assert '""points"":5' in text
    assert '""1"":7' in text
    (event,) = await ingest.told()
    assert event["fields"] == ["email", "points", "1"]
    assert seen["file"]["fields"] == ["email", "score", "points"]


async def test_what_a_drop_archived_goes_with_the_person(ingest: Ingest) -> None:
    async with Dropping(ingest) as dropping:
        drop = await dropping.open()
        await dropping.put(drop, "people.csv", FILE)
        (taken,) = await dropping.taken(drop)
        assert await ingest.read()
        await dropping.put(drop, "broken.csv", b"name\n" + PERSON[0].encode() + b"\n")
        await dropping.taken(drop, 2)
        event = erased(ingest, datetime.now(UTC))
        await hear_erased(ingest.db, ingest.files, event, Heard("ingest", event.event_id))
        dropping.collector = dropping.new_collector()
        await dropping.look()
        assert dropping.names(drop, "rejected") == [], "its rules are about that list"
        assert len(dropping.names(drop, "done")) == 1, "an import under way keeps its file"

        await dropping.progress(taken["import"], "applied", counts={"created": 1})
        await dropping.look()
        assert files_naming(ingest.root / "drops", PERSON) != []
        dropping.collector = dropping.new_collector()
        await dropping.look()
        assert dropping.names(drop, "done") == dropping.names(drop, "reports") == []
        assert files_naming(ingest.root / "drops", PERSON) == []

        await dropping.put(drop, "later.csv", FILE)
        await dropping.taken(drop, 3)
        dropping.collector = dropping.new_collector()
        await dropping.look()
        assert len(dropping.names(drop, "done")) == 1
