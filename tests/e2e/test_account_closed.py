"""A client leaves, with all its data: its mail stops at once, its doors refuse, every "no" is still taken; after the grace
nothing of it is left in any house but what is named as kept, and another account's rows are untouched."""

from __future__ import annotations

import importlib
import io
import json
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from e2e_rig import RECIPIENTS, Rig, eventually, sample
from mailmaker.common.contracts.archives import PARTS
from mailmaker.common.demo.client import Client
from mailmaker.common.demo.doors import Person
from mailmaker.common.storage.emptying import SHARED_KEPT, Emptying

HOUSES = ("contacts", "ingest", "dispatch", "suppression", "fbl")
SEED = 41041
ZONE = "closing.demo.mailmaker.test"
TRACES = (f"s{SEED}.", ZONE, "Zaira's profile", "Zaira's drop")
"""In every address of the account's people, in its sender, in what it called its things."""
AT_ONCE = timedelta(seconds=10)
DOORS = (
    "/v1/lists",
    "/v1/imports",
    "/v1/import-profiles",
    "/v1/drops",
    "/v1/domains",
    "/v1/templates",
    "/v1/mailings",
    "/v1/suppressions",
    "/v1/reports",
)


def emptying_of(house: str) -> Emptying:
    plan: Emptying = importlib.import_module(f"mailmaker.{house}.storage.emptying").EMPTYING
    return plan


async def new_account(rig: Rig) -> tuple[str, str]:
    """An account that every house knows: its id and its key."""
    made = await rig.operator.send("POST", "/v1/accounts", {"name": "Somebody who leaves"})

    async def known() -> bool:
        async with Client(rig.stage.dev["base_url"], made["key"]) as client:
            return all([(await client.raw("GET", path)).status_code == 200 for path in DOORS])

    await eventually("the new account is known everywhere", known)
    return str(made["id"]), str(made["key"])


async def furnished(mine: Rig, list_id: str) -> None:
    """A sender of its own, and a thing of every other kind."""
    send = mine.client.send
    domain = await send("POST", "/v1/domains", {"name": ZONE})
    checked = await send("POST", f"/v1/domains/{domain['id']}:verify")
    assert checked["state"] == "verified", checked
    await send("POST", "/v1/senders", {"name": "Zaira", "email": f"news@{ZONE}"})
    await send("POST", "/v1/import-profiles", {"name": "Zaira's profile", "options": {"delimiter": ";"}})
    drop = await send("POST", "/v1/drops", {"name": "Zaira's drop", "list": list_id})
    await send("POST", f"/v1/drops/{drop['id']}:pgp-key")


async def rows_of(rig: Rig, account: str) -> dict[str, int]:
    """How many rows each table of each house has of an account."""
    found = {}
    for house in HOUSES:
        tables = await rig.sql(
            "SELECT c.relname::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE a.attname = 'account_id' AND c.relkind IN ('r', 'p') AND c.relnamespace = $1::text::regnamespace",
            house,
        )
        for table in (row["name"] for row in tables):
            query = f'SELECT count(*) AS n FROM {house}."{table}" WHERE account_id = $1'
            (row,) = await rig.sql(query, UUID(account))
            if row["n"]:
                found[f"{house}.{table}"] = int(row["n"])
    return found


async def naming(rig: Rig, texts: Iterable[str]) -> list[str]:
    """Tables of any house with one of the texts in any column, bytes too."""
    patterns = [f"%{text}%" for one in texts for text in (one, one.encode().hex())]
    tables = await rig.sql(
        "SELECT relnamespace::regnamespace::text AS house, relname::text AS name FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text = ANY($1::text[])",
        list(HOUSES),
    )
    found = []
    for table in tables:
        place = f'{table["house"]}."{table["name"]}"'
        (row,) = await rig.sql(
            f"SELECT EXISTS (SELECT FROM {place} t WHERE t::text ILIKE ANY($1::text[])) AS there", patterns
        )
        if row["there"]:
            found.append(place)
    return found


def files_about(rig: Rig, account: str, import_id: str) -> list[str]:
    """What lies on disk under the account's or its import's name."""
    return sorted(
        str(path)
        for path in (rig.stage.directory / "state" / "ingest").rglob("*")
        if account in path.name or import_id in path.name
    )


async def refused(client: Client) -> None:
    """Every door of every house says that the account is closed."""

    async def everywhere() -> bool:
        answers = [await client.raw("GET", path) for path in DOORS]
        return all((one.status_code, one.json().get("code")) == (403, "account_closed") for one in answers)

    await eventually("every door is closed", everywhere, 10)
    for path in ("/v1/imports", "/v1/drops", "/v1/mailings", "/v1/templates", "/v1/api-keys"):
        answer = await client.raw("POST", path, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "account_closed"), path


async def emptied(rig: Rig, account: str) -> bool:
    (row,) = await rig.sql(
        "SELECT emptied_at IS NOT NULL AS done FROM contacts.accounts WHERE account_id = $1", UUID(account)
    )
    done = [bool(row["done"])]
    for house in HOUSES[1:]:
        rows = await rig.sql(
            f"SELECT emptied_at IS NOT NULL AS done FROM {house}.emptyings WHERE account_id = $1",
            UUID(account),
        )
        done.append(bool(rows) and bool(rows[0]["done"]))
    return all(done)


def untouchable(found: dict[str, int]) -> dict[str, int]:
    """Of an account's rows those that only its own doings change."""
    mine = {
        f"{house}.{table}"
        for house in HOUSES
        for table in {*emptying_of(house).emptied, *emptying_of(house).blanked}
    }
    return {table: many for table, many in found.items() if table in mine}


@pytest.mark.timeout(1800)
async def test_a_client_leaves(rig: Rig) -> None:
    await rig.list_of("somebody else's", sample(50, 41042, rig.directory))
    other = str(rig.stage.dev["account_id"])
    account, key = await new_account(rig)
    rig.seen()
    async with Client(rig.stage.dev["base_url"], key) as client:
        mine = replace(rig, client=client, numbers={}, _seen=defaultdict(list), _read=rig._read)
        try:
            await _leaves(rig, mine, account, other)
        finally:
            # Mailings are numbered by account: the others' judge passes over these mails.
            rig.seen()


async def _leaves(rig: Rig, mine: Rig, account: str, other: str) -> None:
    people = sample(RECIPIENTS, SEED, rig.directory)
    list_id, imported = await mine.list_of("leaving", None)
    await furnished(mine, list_id)
    imported = await mine.import_file(list_id, people)
    said = await _two_say_no(mine, list_id)
    await _takes_all_out(mine, account)
    mailing = await mine.mailing([list_id], "the last one")
    await mine.start(mailing)
    await mine.reached(mailing, 0.05, RECIPIENTS)
    theirs = untouchable(await rows_of(rig, other))

    closed = await mine.client.send("POST", f"/v1/accounts/{account}:close")
    answered = datetime.now(UTC)
    assert closed["state"] == "closed"
    await refused(mine.client)
    await _a_no_is_still_taken(rig, said[1])
    # Houses die meanwhile: what they were told is in their tables, or comes again.
    for house in ("ingest", "fbl"):
        await rig.kill(house)

    async def gone() -> bool:
        return await emptied(rig, account)

    await eventually("every house has emptied the account", gone, 240, 0.5)
    await rig.ready()
    late = [one for one in mine.seen(mailing) if one.begun_at > answered + AT_ONCE]
    sent = len(mine.seen(mailing))
    print(f"\n{sent} of {RECIPIENTS} had been sent; after the closing and {AT_ONCE}: {len(late)}")
    assert late == []
    assert sent < RECIPIENTS, "the mailing ended too early to prove anything"

    left = await rows_of(rig, account)
    kept = {
        f"{house}.{table}"
        for house in HOUSES
        for table in {*emptying_of(house).kept, *emptying_of(house).blanked, *SHARED_KEPT}
    }
    assert set(left) <= kept, sorted(set(left) - kept)
    assert left["suppression.ledger"] == len(said)
    assert left["dispatch.messages"] == 2 * RECIPIENTS
    assert await naming(rig, TRACES) == []
    assert files_about(rig, account, imported["id"]) == [str(path) for path in _empty_folder(rig, account)]
    assert untouchable(await rows_of(rig, other)) == theirs
    assert await naming(rig, ["s41042."]) != []

    # The mails are still in people's mailboxes, and their links in them.
    await _a_no_is_still_taken(rig, said[0])
    with pytest.raises(RuntimeError, match="account_state"):
        await rig.operator.send("POST", f"/v1/accounts/{account}:reopen")
    await refused(mine.client)


async def _two_say_no(mine: Rig, list_id: str) -> list[Person]:
    """By unsubscribe mail and by link: a report of fbl's, an entry of suppression's, a row of dispatch's each."""
    persons = await mine.readers(list_id, 2)
    doors = mine.doors(list_id)
    try:
        for person, door in zip(persons, ("mail", "one_click"), strict=True):
            known = await mine.enforced(doors, await doors.say(person, door))
            assert known.enforced_at is not None
    finally:
        await doors.close()
    return persons


async def _takes_all_out(mine: Rig, account: str) -> None:
    """Its export, before it goes: the files of every house, each whole."""
    asked = await mine.client.send("POST", f"/v1/accounts/{account}:export")
    path = f"/v1/accounts/{account}/exports/{asked['id']}"
    done = await mine.client.wait(path, ("ready", "failed"))
    assert done["state"] == "ready", done
    data = (await mine.client.raw("GET", done["download_url"])).content
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        lines = {name: file.read(name).count(b"\n") for name in file.namelist()}
        one = json.loads(file.read("fbl/reports.jsonl"))
    wanted = {
        "contacts.jsonl": RECIPIENTS,
        "ingest/imports.jsonl": 1,
        "ingest/profiles.jsonl": 1,
        "ingest/drops.jsonl": 1,
        "ingest/pgp_keys.jsonl": 1,
        "dispatch/senders.jsonl": 1,
        "dispatch/mailings.jsonl": 1,
        "dispatch/messages.jsonl": RECIPIENTS,
        "suppression/suppressions.jsonl": 2,
        "fbl/reports.jsonl": 1,
    }
    assert {name: lines[name] for name in wanted} == wanted, lines
    assert {name for names in PARTS.values() for name in names} < set(lines)
    assert (one["kind"], one["acted"], one["account_id"]) == ("unsubscribe", "suppressed", account)


async def _a_no_is_still_taken(rig: Rig, person: Person) -> None:
    """Again by the link of an old mail: answered, and in the ledger as a repetition."""
    doors = rig.doors("")
    try:
        began = time.monotonic()
        told = await doors.say(person, "one_click")
        assert told.answered_at is not None
        assert time.monotonic() - began < 10
    finally:
        await doors.close()


def _empty_folder(rig: Rig, account: str) -> list[Any]:
    """The folder of an account's inboxes may stand, with nothing in it."""
    found = [path for path in (rig.stage.directory / "state" / "ingest").rglob(account) if path.is_dir()]
    assert all(not any(path.iterdir()) for path in found)
    return sorted(found)
