"""The same file again writes nothing; a full one removes who is missing; a "no" outlives both."""

from __future__ import annotations

import pytest
from e2e_kafka import event_types
from e2e_rig import RECIPIENTS, Rig, eventually, sample

REMOVED = min(1_000, RECIPIENTS // 10)
# Each row's version and place: a write of any kind changes them, also one that is taken back.
VERSIONS = """
SELECT 'contacts' AS what, count(*) AS many, md5(string_agg(id::text || xmin || ctid, ',' ORDER BY id)) AS versions
  FROM contacts.contacts
UNION ALL
SELECT 'history', count(*), md5(string_agg(id::text || xmin || ctid, ',' ORDER BY id)) FROM contacts.contact_history
"""
PLAN_SIZE = "SELECT pg_total_relation_size('contacts.plan_rows') AS bytes"


async def versions(rig: Rig) -> dict[str, tuple[int, str]]:
    return {row["what"]: (row["many"], row["versions"]) for row in await rig.sql(VERSIONS)}


async def carried(rig: Rig) -> bool:
    return not await rig.sql("SELECT 1 FROM contacts.outbox LIMIT 1")


@pytest.mark.timeout(3600)
async def test_the_same_file_again_writes_nothing(rig: Rig) -> None:
    file = sample(RECIPIENTS, 15, rig.directory)
    list_id, first = await rig.list_of("again", file)
    assert first["counts"]["created"] == RECIPIENTS
    before = await versions(rig)
    assert before["contacts"][0] >= RECIPIENTS
    (size,) = await rig.sql(PLAN_SIZE)
    await eventually("the courier has carried everything", lambda: carried(rig), 60)
    _, ends = await event_types(rig.stage.dev["kafka"], "contacts.v1")
    again = await rig.import_file(list_id, file)
    assert again["counts"] == {
        "rows": RECIPIENTS,
        "created": 0,
        "updated": 0,
        "unchanged": RECIPIENTS,
        "removed": 0,
        "protected": 0,
        "rejected": 0,
        "duplicate": 0,
    }
    assert await versions(rig) == before
    # The plan names what changes, so its rows do not grow with what does not.
    (grown,) = await rig.sql(PLAN_SIZE)
    assert grown["bytes"] - size["bytes"] <= 64 * 1024
    await eventually("the courier has carried everything", lambda: carried(rig), 60)
    types, _ = await event_types(rig.stage.dev["kafka"], "contacts.v1", ends)
    assert "contacts.changed" not in types
    assert "contacts.removed" not in types


@pytest.mark.timeout(600)
async def test_of_a_file_that_comes_again_new_lines_are_what_they_would_be_in_a_whole_one(rig: Rig) -> None:
    file = sample(400, 18, rig.directory)
    list_id, _ = await rig.list_of("lines", file)
    header, *lines = file.read_text().splitlines()
    email = lines[7].split('","')[1]

    async def comes(*more: str, at: int | None = None, **options: object) -> dict[str, int]:
        some = [*lines[::-1], *more] if at is None else [*lines[:at], *more, *lines[at:]]
        path = rig.directory / "lines.csv"
        path.write_text("\r\n".join([header, *some, ""]), newline="")
        done = await rig.import_file(list_id, path, **options)
        assert done["counts"]["rows"] == len(some)
        return {
            name: many for name, many in done["counts"].items() if many and name not in ("rows", "unchanged")
        }

    def person(number: int, **cells: str) -> str:
        known = dict(zip(header.split(","), lines[number].strip('"').split('","'), strict=True))
        return ",".join(f'"{cell}"' for cell in (known | cells).values())

    assert await comes() == {}
    new = [person(0, email=f"new{i}.{email}", fkey=f"new-{i}") for i in range(3)]
    refused = person(1, email=f"bad.{email}", birth_date="31/02/1980")
    assert await comes(*new, refused, new[0].replace("new-0", "new-9")) == {
        "created": 3,
        "rejected": 1,
        "duplicate": 1,
    }
    # A new line after the one that is held is its duplicate; before it, it counts.
    assert await comes(person(7, name="Later"), *new) == {"duplicate": 1}
    assert await comes(person(7, name="Earlier"), *new, at=0) == {"duplicate": 1, "updated": 1}
    assert await comes(*new) == {"updated": 1}
    # A record of two lines is one row.
    assert await comes(person(9, name="Two\r\nlines", email=f"two.{email}", fkey="two"), *new) == {
        "created": 1
    }
    assert await comes(*new[1:], mode="full") == {"removed": 2}


@pytest.mark.timeout(3600)
async def test_a_full_file_removes_and_its_mail_is_taken_back(rig: Rig) -> None:
    list_id, _ = await rig.list_of("full", sample(RECIPIENTS, 16, rig.directory))
    mailing = await rig.mailing([list_id], "full")
    await rig.start(mailing)
    await rig.reached(mailing, 0.02, RECIPIENTS)
    await rig.client.send("POST", f"/v1/mailings/{mailing}:pause")
    queued = {item["address"].casefold() for item in await rig.messages(mailing, "queued")}
    rows = [
        line.split('","')[1].casefold()
        for line in sample(RECIPIENTS, 16, rig.directory).read_text().splitlines()[1:]
    ]
    gone = [number for number, address in enumerate(rows) if address in queued][:REMOVED]
    assert len(gone) == REMOVED
    done = await rig.import_file(list_id, sample(RECIPIENTS, 16, rig.directory, without=gone), mode="full")
    assert done["counts"]["removed"] == REMOVED
    assert done["counts"]["unchanged"] == RECIPIENTS - REMOVED
    removed = {rows[number] for number in gone}

    async def taken_back() -> bool:
        return (await rig.counts(mailing)).get("cancelled", 0) + (await rig.counts(mailing)).get(
            "suppressed", 0
        ) >= REMOVED

    await eventually("the queued mail of the removed is taken back", taken_back, 120, 0.5)
    await rig.client.send("POST", f"/v1/mailings/{mailing}:resume")
    await rig.finished(mailing)
    seen = {address.casefold() for one in rig.seen(mailing) for address in one.recipients}
    assert not seen & removed
    assert len(seen) == RECIPIENTS - REMOVED


@pytest.mark.timeout(1800)
async def test_an_opt_out_outlives_the_file(rig: Rig) -> None:
    file = sample(50, 17, rig.directory)
    list_id, _ = await rig.list_of("protected", file)
    addresses = [line.split('","')[1] for line in file.read_text().splitlines()[1:6]]
    for address in addresses:
        wish = {
            "channel": "email",
            "email": address,
            "scope": "list",
            "list": list_id,
            "reason": "unsubscribe",
        }
        answer = await rig.client.send("POST", "/v1/suppressions?wait=enforced", wish)
        assert answer["enforced_at"] is not None
    for mode in ("incremental", "full"):
        done = await rig.import_file(list_id, file, mode=mode)
        assert done["counts"]["protected"] == len(addresses)
        assert done["counts"]["unchanged"] == 50 - len(addresses)
    mailing = await rig.mailing([list_id], "protected")
    await rig.start(mailing)
    await rig.finished(mailing)
    seen = {address.casefold() for one in rig.seen(mailing) for address in one.recipients}
    assert not seen & {address.casefold() for address in addresses}
    assert len(seen) == 45
