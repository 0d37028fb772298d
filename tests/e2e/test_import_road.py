"""The ways of a file through every house, at the public doors: held back, approved, taken back, cancelled; each mode, each
count, and what a file cannot undo: an erasure, an opt-out, a complaint."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from e2e_rig import Rig, eventually, options

HEADER = ("email", "name", "city", "points")
ENDS = ("applied", "planned", "quarantined", "failed", "cancelled")
UNGUARDED = {"guards": {"max_removed_percent": None}}
Row = tuple[str, ...]


def people(count: int, mark: str) -> list[Row]:
    return [(f"{mark}{i}@road.example", f"Name {i}", "Roma", str(i)) for i in range(count)]


async def opened(rig: Rig) -> str:
    """A list with a number of its own beside the standard fields."""
    list_id = await rig.client.open_list(f"road {time.time_ns()}")
    await rig.client.send(
        "PUT", f"/v1/lists/{list_id}/fields", {"fields": [{"name": "points", "type": "number"}]}
    )
    return list_id


async def sent(rig: Rig, list_id: str, rows: Sequence[Row], mode: str = "incremental", **more: Any) -> str:
    """Sends a file. Returns the import's path."""
    text = io.StringIO()
    csv.writer(text).writerows([HEADER, *rows])
    form = options(list_id, mode, **more)
    file = ("road.csv", text.getvalue().encode())
    return (
        f"/v1/imports/{(await rig.client.send('POST', '/v1/imports', files={'file': file}, data=form))['id']}"
    )


async def imported(
    rig: Rig, list_id: str, rows: Sequence[Row], mode: str = "incremental", **more: Any
) -> Any:
    """Sends a file and waits until somebody's word is needed, or nobody's."""
    return await rig.client.wait(await sent(rig, list_id, rows, mode, **more), ENDS)


async def held(rig: Rig, list_id: str) -> dict[str, Row]:
    """The list as a client reads it."""
    items = await rig.every(f"/v1/lists/{list_id}/contacts")
    return {item["email"]: (item["email"], item["name"], item["city"], _points(item)) for item in items}


def _points(item: dict[str, Any]) -> str:
    value = item["custom"].get("points")
    return "" if value is None else f"{float(value):g}"


def by_email(rows: Sequence[Row]) -> dict[str, Row]:
    return {row[0]: row for row in rows}


def many(found: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in found["counts"].items() if count}


async def says_no(
    rig: Rig, list_id: str, email: str, reason: str = "unsubscribe", scope: str = "list"
) -> None:
    wish = {"channel": "email", "email": email, "scope": scope, "reason": reason}
    wish |= {"list": list_id} if scope == "list" else {}
    answer = await rig.client.send("POST", "/v1/suppressions?wait=enforced", wish)
    assert answer["enforced_at"] is not None


async def consents(rig: Rig, list_id: str) -> dict[str, str]:
    items = await rig.every(f"/v1/lists/{list_id}/contacts")
    return {item["email"].partition("@")[0]: item["email_consent"] for item in items}


async def test_a_file_held_back_is_approved_and_taken_back(rig: Rig) -> None:
    list_id, first = await opened(rig), people(40, "a")
    assert (await imported(rig, list_id, first))["state"] == "applied"
    second = [(row[0], row[1], "Milano", row[3]) for row in first[:20]] + people(5, "b")
    guards = {"max_removed_percent": 10}
    found = await imported(rig, list_id, second, "full", guards=guards)
    assert (found["state"], found["error"]["code"]) == ("quarantined", "guard.removed")
    assert many(found) == {"rows": 25, "created": 5, "updated": 20, "removed": 20}
    assert await held(rig, list_id) == by_email(first), "a file that waits has done nothing"

    path = f"/v1/imports/{found['id']}"
    await rig.client.send("POST", f"{path}:approve")
    assert many(await rig.client.wait(path, ("applied", "failed"))) == many(found)
    assert await held(rig, list_id) == by_email(second)

    await rig.client.send("POST", f"{path}:undo")
    assert (await rig.client.wait(path, ("undone",)))["state"] == "undone"
    assert await held(rig, list_id) == by_email(first), "everything is as it was"


async def test_a_cancelled_file_never_applies(rig: Rig) -> None:
    list_id, first = await opened(rig), people(20, "c")
    await imported(rig, list_id, first)
    found = await imported(rig, list_id, first[:5], "full", apply="on_approval", **UNGUARDED)
    assert (found["state"], found["counts"]["removed"]) == ("planned", 15)
    path = f"/v1/imports/{found['id']}"
    await rig.client.send("POST", f"{path}:cancel")
    assert (await rig.client.wait(path, ("cancelled",)))["state"] == "cancelled"
    assert (await rig.client.raw("POST", f"{path}:approve")).status_code == 409
    await imported(rig, list_id, people(3, "d"))
    assert await held(rig, list_id) == by_email([*first, *people(3, "d")])


async def test_add_writes_only_new_people_and_update_only_known_ones(rig: Rig) -> None:
    list_id, first = await opened(rig), people(4, "e")
    await imported(rig, list_id, first)
    moved = [(row[0], row[1], "Torino", row[3]) for row in first]
    added = await imported(rig, list_id, [*moved, *people(2, "f")], "add")
    assert many(added) == {"rows": 6, "created": 2, "unchanged": 4}
    assert await held(rig, list_id) == by_email([*first, *people(2, "f")])
    updated = await imported(rig, list_id, [*moved, *people(3, "g")], "update")
    assert many(updated) == {"rows": 7, "updated": 4, "unchanged": 3}
    assert await held(rig, list_id) == by_email([*moved, *people(2, "f")])


async def test_every_count_of_one_file(rig: Rig) -> None:
    list_id, first = await opened(rig), people(8, "h")
    await imported(rig, list_id, first)
    await says_no(rig, list_id, "h0@road.example")
    moved = (first[2][0], first[2][1], "Bari", first[2][3])
    broken = ("h3@road.example", "Name 3", "Roma", "many")
    rows = [*first[:2], moved, broken, ("nobody", "", "", ""), ("new@road.example", "N", "", ""), first[1]]
    found = await imported(rig, list_id, rows, "full", **UNGUARDED)
    assert (found["state"], many(found)) == (
        "applied",
        {
            "rows": 7,
            "created": 1,
            "updated": 1,
            "unchanged": 1,
            "protected": 1,
            "rejected": 2,
            "duplicate": 1,
            "removed": 4,
        },
    )
    # A refused row keeps its contact: it was named, however badly.
    assert set(await held(rig, list_id)) == {f"h{i}@road.example" for i in range(4)} | {"new@road.example"}
    plan = f"/v1/plans/{found['id']}/rows"
    for action, count in (("created", 1), ("updated", 1), ("protected", 1), ("removed", 4)):
        assert len(await rig.every(plan, action=action)) == count
    (protected,) = await rig.every(plan, action="protected")
    assert protected["line"] == 2
    rejects = (await rig.client.raw("GET", found["rejects_url"])).text
    assert "nobody" in rejects
    assert "many" in rejects


async def test_lists_fill_side_by_side_and_files_of_one_in_turn(rig: Rig) -> None:
    lists = [await opened(rig) for _ in range(4)]
    paths = await asyncio.gather(*(sent(rig, of, people(2_000, f"i{n}-")) for n, of in enumerate(lists)))
    later = [(row[0], row[1], city, row[3]) for city in ("Pisa", "Lecce") for row in people(50, "i0-")]
    in_turn = [await sent(rig, lists[0], later[:50]), await sent(rig, lists[0], later[50:])]
    for path in (*paths, *in_turn):
        assert (await rig.client.wait(path, ENDS))["state"] == "applied"
    for n, of in enumerate(lists):
        rows = by_email(people(2_000, f"i{n}-"))
        assert await held(rig, of) == rows | (by_email(later[50:]) if n == 0 else {})


async def test_who_was_erased_is_met_by_the_next_file(rig: Rig) -> None:
    list_id, first = await opened(rig), people(3, "j")
    await imported(rig, list_id, first)
    (item,) = await rig.every(f"/v1/lists/{list_id}/contacts", email=first[0][0])
    await rig.client.send("POST", f"/v1/lists/{list_id}/contacts/{item['id']}:erase")
    assert set(await held(rig, list_id)) == {first[1][0], first[2][0]}
    found = await imported(rig, list_id, first)
    assert many(found) == {"rows": 3, "unchanged": 2, "protected": 1}
    assert (await consents(rig, list_id))["j0"] == "unsubscribed"


async def test_only_a_newer_consent_brings_back_and_only_who_left_this_list(rig: Rig) -> None:
    list_id, first = await opened(rig), people(4, "k")
    await imported(rig, list_id, first)
    await says_no(rig, list_id, first[0][0])
    await says_no(rig, list_id, first[1][0], scope="account")
    await says_no(rig, list_id, first[2][0], reason="complaint", scope="account")
    out = {"k0": "unsubscribed", "k1": "unsubscribed", "k2": "unsubscribed", "k3": "subscribed"}

    async def followed() -> bool:
        return await consents(rig, list_id) == out

    await eventually("contacts has heard every no", followed)
    basis = {"text": "They signed again in our shop.", "consented_at": datetime.now(UTC).isoformat()}
    found = await imported(rig, list_id, first, protect_cancellations=False, lawful_basis=basis)
    assert (found["state"], many(found)) == (
        "applied",
        {"rows": 4, "updated": 1, "protected": 2, "unchanged": 1},
    )
    assert await consents(rig, list_id) == out | {"k0": "subscribed"}
    # Said again after that consent, it stands against it.
    await says_no(rig, list_id, first[0][0])
    await eventually("contacts has heard it", followed)
    again = await imported(rig, list_id, first, protect_cancellations=False, lawful_basis=basis)
    assert again["counts"]["protected"] == 3
    assert await consents(rig, list_id) == out
