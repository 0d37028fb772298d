"""integration: of a file that is told by its lines only those are read that the list does not hold."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from contacts_house import Client, Rig
from mailmaker.contacts.actions.hear_imports import approve

FIELDS = ["email", "name"]


def people(many: int, **names: str) -> list[dict[str, str]]:
    return [{"email": f"p{i}@example.com", "name": names.get(f"p{i}", "Ada")} for i in range(many)]


async def loaded(rig: Rig, many: int = 20) -> tuple[Client, UUID]:
    client = await rig.client()
    list_id = await client.open_list()
    plan = await rig.import_rows(client, list_id, people(many))
    assert plan["counts"]["created"] == many
    return client, list_id


async def again(
    rig: Rig, client: Client, list_id: UUID, rows: list[dict[str, str]], **more: Any
) -> dict[str, Any]:
    """The counts of a file told by its lines."""
    plan = await rig.import_rows(client, list_id, rows, by_line=True, fields=[*FIELDS], **more)
    assert plan["state"] == "applied", plan
    return {name: many for name, many in plan["applied"].items() if many}


@pytest.mark.parametrize("mode", ["incremental", "full"])
async def test_of_the_same_lines_none_is_read(rig: Rig, mode: str) -> None:
    client, list_id = await loaded(rig)
    before = await client.contacts(list_id)
    assert await again(rig, client, list_id, people(20)[::-1], mode=mode) == {"rows": 20, "unchanged": 20}
    assert (rig.ingest.wanted, rig.ingest.sent) == ([], 20)
    assert await client.contacts(list_id) == before


async def test_new_lines_alone_are_read(rig: Rig) -> None:
    client, list_id = await loaded(rig)
    rows = people(22, p3="Bea", p7="Bea")
    told = await again(rig, client, list_id, rows)
    assert told == {"rows": 22, "created": 2, "updated": 2, "unchanged": 18}
    assert rig.ingest.wanted == [[5, 9, 22, 23]]
    assert (await client.contacts(list_id))["p3@example.com"]["name"] == "Bea"
    # What they wrote is known by its lines in turn.
    assert await again(rig, client, list_id, rows) == {"rows": 22, "unchanged": 22}
    assert len(rig.ingest.wanted) == 1


async def test_a_full_file_removes_whom_no_line_names(rig: Rig) -> None:
    client, list_id = await loaded(rig)
    # p0 is away; p1 changes; p2 is refused, though its key is good.
    staged = [
        [i + 2, f"p{i}@example.com", *_cells(f"p{i}@example.com", "Bea" if i == 1 else "Ada")]
        for i in range(1, 20)
    ]
    staged[1] = [-4, "p2@example.com", *_cells("p2@example.com", "Cleo")]
    import_id = rig.ingest.write(staged, ["", *FIELDS])
    await rig.hear(client, list_id, import_id, 19, FIELDS, by_line=True, mode="full")
    while await rig.imports.step():
        pass
    plan = (await client.ask("GET", f"/v1/plans/{import_id}")).json()
    told = {name: many for name, many in plan["applied"].items() if many}
    assert told == {"rows": 19, "removed": 1, "updated": 1, "rejected": 1, "unchanged": 17}
    assert rig.ingest.wanted == [[3, 4]]
    held = await client.contacts(list_id)
    assert "p0@example.com" not in held
    assert held["p2@example.com"]["name"] == "Ada"


def _cells(email: str, name: str) -> list[str]:
    return [email, "", "", name, *[""] * 9, ""]


async def test_who_was_edited_or_opted_out_is_read_again(rig: Rig) -> None:
    client, list_id = await loaded(rig)
    await client.put(list_id, email="p4@example.com", name="Dora")
    held = await client.contacts(list_id)
    rig.suppression.say(client.account, [rig.contact_subject(held["p5@example.com"])])
    await rig.follow.catch_up()
    told = await again(rig, client, list_id, people(20))
    assert told == {"rows": 20, "updated": 1, "protected": 1, "unchanged": 18}
    assert rig.ingest.wanted == [[6, 7]]


@pytest.mark.parametrize("first", [True, False])
async def test_a_new_line_with_the_key_of_another_is_a_duplicate_by_their_order(
    rig: Rig, first: bool
) -> None:
    client, list_id = await loaded(rig)
    other = {"email": "p6@example.com", "name": "Bea"}
    told = await again(rig, client, list_id, [other, *people(20)] if first else [*people(20), other])
    # The first one counts: the other, or the one that is held. Only the whole file tells which.
    assert told == {"rows": 21, "duplicate": 1} | (
        {"updated": 1, "unchanged": 19} if first else {"unchanged": 20}
    )
    assert rig.ingest.wanted == [[2] if first else [22], None]
    assert (await client.contacts(list_id))["p6@example.com"]["name"] == ("Bea" if first else "Ada")


async def test_a_line_that_is_no_record_by_itself_has_the_file_read_whole(rig: Rig) -> None:
    client, list_id = await loaded(rig)
    rig.ingest.joined = True
    told = await again(rig, client, list_id, people(22, p3="Bea"))
    assert told == {"rows": 21, "created": 1, "updated": 1, "unchanged": 19}
    assert rig.ingest.wanted == [[5, 22, 23], None]


async def test_who_is_as_a_line_says_is_known_by_it_from_then_on(rig: Rig) -> None:
    client = await rig.client()
    list_id = await client.open_list()
    items = [{"contact": row} for row in people(20)]
    await client.ask("POST", f"/v1/lists/{list_id}/contacts:batch", {"items": items})
    before = await client.contacts(list_id)
    assert await again(rig, client, list_id, people(20)) == {"rows": 20, "unchanged": 20}
    # They were many: the file was read whole.
    assert rig.ingest.wanted == [None]
    assert await client.contacts(list_id) == before
    assert await again(rig, client, list_id, people(20)) == {"rows": 20, "unchanged": 20}
    assert len(rig.ingest.wanted) == 1
    rows = people(20, p1="Bea")
    assert await again(rig, client, list_id, rows) == {"rows": 20, "updated": 1, "unchanged": 19}
    assert rig.ingest.wanted[1:] == [[3]]


async def test_a_file_of_new_people_alone_teaches_nothing_of_those_that_it_names(rig: Rig) -> None:
    client, list_id = await loaded(rig)
    other = people(20, **{f"p{i}": "Bea" for i in range(20)})
    assert await again(rig, client, list_id, other, mode="add") == {"rows": 20, "unchanged": 20}
    assert await again(rig, client, list_id, other) == {"rows": 20, "updated": 20}


async def test_a_plan_that_waits_is_found_anew_when_it_is_approved(rig: Rig) -> None:
    client, list_id = await loaded(rig)
    rows = people(21, p1="Bea")
    plan = await rig.import_rows(client, list_id, rows, by_line=True, fields=[*FIELDS], apply="on_approval")
    assert (plan["state"], plan["counts"]["updated"], plan["counts"]["created"]) == ("planned", 1, 1)
    await client.put(list_id, email="p20@example.com", name="Ada")
    assert await approve(rig.house, client.account, UUID(plan["import_id"]))
    plan = await rig.until_settled(client, plan["import_id"])
    told = {name: many for name, many in plan["applied"].items() if many}
    assert told == {"rows": 21, "updated": 1, "unchanged": 20}
    assert rig.ingest.wanted == [[3, 22], [3, 22]]


async def test_a_file_that_cannot_be_read_fails_and_says_why(rig: Rig) -> None:
    client, list_id = await loaded(rig)
    rig.ingest.unreadable = "encoding.broken"
    plan = await rig.import_rows(client, list_id, people(21), by_line=True, fields=[*FIELDS])
    assert (plan["state"], plan["error"]["code"]) == ("failed", "encoding.broken")
    assert len(await client.contacts(list_id)) == 20
    assert (await rig.handed_over("ingest"))[-1]["error_code"] == "encoding.broken"


async def test_ingest_hears_that_the_list_holds_the_lines(rig: Rig) -> None:
    client, list_id = await loaded(rig)
    await again(rig, client, list_id, people(20))
    assert [word["holds_lines"] for word in await rig.handed_over("ingest")] == [True, True]
