"""An opt-out file sent while a mailing runs: no mail after "enforced", though the house that hands it over is killed."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from e2e_rig import CONNECTIONS, NOES, RECIPIENTS, Rig, sample
from mailmaker.common.testing.checker import Told

STRANGERS = 50
"""People of the file whom the list does not have yet."""


@pytest.mark.timeout(3600)
async def test_an_opt_out_file_stops_a_running_mailing(rig: Rig) -> None:
    people = sample(RECIPIENTS, 31, rig.directory)
    list_id, _ = await rig.list_of("opt-out file", people)
    known = [line.split('","')[1] for line in people.read_text(encoding="utf-8").splitlines()[1:]]
    strangers = [f"stranger.{number}@example.com" for number in range(STRANGERS)]
    leaving = Random(31).sample(known, NOES)
    file = rig.directory / "opt-outs.csv"
    rows = [*leaving, *strangers, "nobody at all", leaving[0].upper().replace("EXAMPLE", "example")]
    file.write_text("name;birth_date;email\n" + "".join(f"X;never;{row}\n" for row in rows), encoding="utf-8")

    mailing = await rig.mailing([list_id], "opt-out file")
    await rig.start(mailing)
    await rig.reached(mailing, 0.02, RECIPIENTS)
    said_at = datetime.now(UTC)
    with file.open("rb") as data:
        form = {"options": f'{{"list": "{list_id}", "mode": "opt_out"}}'}
        sent = await rig.client.send("POST", "/v1/imports", files={"file": ("o.csv", data)}, data=form)
    await rig.kill("contacts")
    path = f"/v1/imports/{sent['id']}"
    done = await rig.client.wait(path, ("applied", "failed", "quarantined", "cancelled"))
    answered_at = datetime.now(UTC)
    assert done["state"] == "applied", done
    assert {name: many for name, many in done["counts"].items() if many} == {
        "rows": len(rows),
        "updated": NOES + STRANGERS,
        "rejected": 1,
        "duplicate": 1,
    }

    doors = rig.doors(list_id)
    try:
        told = [await rig.enforced(doors, Told(address, "file", said_at, answered_at)) for address in leaving]
    finally:
        await doors.close()
    first = await rig.client.send("GET", "/v1/suppressions", params={"email": leaving[0]})
    assert [item["door"] for item in first["items"]] == ["file"], "each row is in the ledger once"
    counts = await rig.finished(mailing)
    verdict = await rig.verdict(mailing, told)
    print(f"\n{verdict}; {counts}")
    assert verdict.violations == ()
    assert verdict.lost_nos == ()
    assert verdict.duplicates == ()
    assert verdict.lost_mails == ()
    assert counts["planned"] == RECIPIENTS
    assert counts["uncertain"] <= CONNECTIONS
    assert counts["suppressed"] >= NOES // 5, "the file came too late to prove anything"

    # Whom the list did not have stays out when a later file brings them; the file again says nothing new.
    later = rig.directory / "later.csv"
    later.write_text("email\n" + "".join(f"{address}\n" for address in strangers), encoding="utf-8")
    done = await rig.import_file(list_id, later)
    assert done["counts"]["protected"] == STRANGERS
    done = await rig.import_file(list_id, file, mode="opt_out")
    assert done["counts"]["unchanged"] == NOES + STRANGERS
