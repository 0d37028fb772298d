"""An opt-out file approved while a mailing runs: no mail after "enforced"; each row once, also where the house is killed."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from e2e_rig import CONNECTIONS, NOES, RECIPIENTS, Rig, options, sample
from mailmaker.common.testing.checker import Told

PEOPLE = RECIPIENTS // 2
SAYING = NOES // 2
STRANGERS = 50
"""People of the file whom the list does not have yet."""
ENDS = ("applied", "failed", "quarantined", "cancelled")


async def upload(rig: Rig, list_id: str, rows: list[str], **more: Any) -> str:
    """Sends an opt-out file. Returns the import's path."""
    content = "name;birth_date;email\n" + "".join(f"X;never;{row}\n" for row in rows)
    form = options(list_id, "opt_out", **more)
    sent = await rig.client.send(
        "POST", "/v1/imports", files={"file": ("opt-outs.csv", content.encode())}, data=form
    )
    return f"/v1/imports/{sent['id']}"


def named(done: dict[str, Any]) -> dict[str, int]:
    return {name: many for name, many in done["counts"].items() if many}


@pytest.mark.timeout(3600)
async def test_an_opt_out_file_stops_a_running_mailing(rig: Rig) -> None:
    people = sample(PEOPLE, 31, rig.directory)
    list_id, _ = await rig.list_of("opt-out file", people)
    known = [line.split('","')[1] for line in people.read_text(encoding="utf-8").splitlines()[1:]]
    strangers = [f"stranger.{number}@example.com" for number in range(STRANGERS)]
    leaving = Random(31).sample(known, SAYING)
    local, _, domain = leaving[0].partition("@")
    rows = [*leaving, *strangers, "nobody at all", f"{local.upper()}@{domain}"]
    expected = {"rows": len(rows), "updated": SAYING + STRANGERS, "rejected": 1, "duplicate": 1}

    # The plan is seen first, and stops nothing yet.
    path = await upload(rig, list_id, rows, apply="on_approval")
    planned = await rig.client.wait(path, ("planned", *ENDS))
    assert (planned["state"], named(planned)) == ("planned", expected)
    mailing = await rig.mailing([list_id], "opt-out file")
    await rig.start(mailing)
    await rig.reached(mailing, 0.02, PEOPLE)
    said_at = datetime.now(UTC)
    await rig.client.send("POST", f"{path}:approve")
    done = await rig.client.wait(path, ENDS)
    answered_at = datetime.now(UTC)
    assert (done["state"], named(done)) == ("applied", expected)

    doors = rig.doors(list_id)
    try:
        told = [await rig.enforced(doors, Told(address, "file", said_at, answered_at)) for address in leaving]
    finally:
        await doors.close()
    counts = await rig.finished(mailing)
    verdict = await rig.verdict(mailing, told)
    print(f"\n{verdict}; {counts}")
    assert verdict.violations == ()
    assert verdict.lost_nos == ()
    assert verdict.duplicates == ()
    assert verdict.lost_mails == ()
    assert counts["planned"] == PEOPLE
    assert counts["uncertain"] <= CONNECTIONS
    assert counts["suppressed"] >= SAYING // 5, "the file came too late to prove anything"

    # Whom the list did not have stays out when a later file brings them.
    later = rig.directory / "later.csv"
    later.write_text("email\n" + "".join(f"{address}\n" for address in strangers), encoding="utf-8")
    assert (await rig.import_file(list_id, later))["counts"]["protected"] == STRANGERS

    # The file again, and the house that hands it over is killed: nothing new, and each row is heard once.
    path = await upload(rig, list_id, rows)
    await rig.kill("contacts")
    again = await rig.client.wait(path, ENDS)
    assert (again["state"], again["counts"]["unchanged"]) == ("applied", SAYING + STRANGERS)
    for address in (leaving[0], strangers[0]):
        (entry,) = await rig.every("/v1/suppressions", email=address)
        assert entry["door"] == "file"
        full = await rig.client.send("GET", f"/v1/suppressions/{entry['id']}")
        assert [one["door"] for one in full["repetitions"]] == ["file"]
