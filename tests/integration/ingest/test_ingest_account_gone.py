"""integration: a closed account's files are neither taken nor read; when it is gone, no row and no file of it is left."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncssh
import pytest
from ingest_drops import GOOD, Dropping
from ingest_house import Ingest
from mailmaker.common.contracts.accounts import AccountEmptied
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.storage.archiving import rows_of
from mailmaker.common.storage.emptying import SHARED_KEPT, EmptyAccounts, hear_emptied
from mailmaker.common.storage.engine import AlreadyHeard, Heard
from mailmaker.common.testing.traces import files_naming, tables_naming, tables_of_account
from mailmaker.ingest.actions.archive_account import archive_account
from mailmaker.ingest.actions.forget_account import forgetting
from mailmaker.ingest.storage.archive import PARTS
from mailmaker.ingest.storage.emptying import EMPTYING

NEVER = asyncio.Event()
PERSON = ("zaira.gone@example.it", "Zaira")
FILE = b"email,name\nzaira.gone@example.it,Zaira\nnobody,Zaira\n"


def close(dropping: Dropping, state: str = "closed") -> None:
    """contacts' word on the account, pulled by the next pull."""
    ingest = dropping.ingest
    row = ingest.contacts.accounts[str(ingest.account)]
    changed = row.model_copy(update={"state": state, "version": row.version + 100})
    ingest.contacts.accounts[str(ingest.account)] = ingest.contacts.accounts[str(row.number)] = changed


async def known(dropping: Dropping, state: str) -> None:
    close(dropping, state)
    await dropping.keyring.pull()
    sql = "SELECT state FROM known_accounts WHERE account_id = CAST(:id AS uuid)"

    async def there() -> bool:
        return bool((await dropping.ingest.run(sql, id=str(dropping.ingest.account))).scalar() == state)

    await dropping.until(f"the account is {state} here", there)


async def refusal(ingest: Ingest, method: str, path: str, **more: Any) -> tuple[int, str]:
    answer = await ingest.http.request(method, path, **more)
    return answer.status_code, answer.json()["code"]


async def test_while_closed_drops_and_imports_refuse_and_files_wait(dropping: Dropping) -> None:
    ingest = dropping.ingest
    drop = await dropping.open()
    waits = (await ingest.send(FILE)).json()["id"]
    no = (await ingest.send(b"email\nleaving@example.it\n", mode="opt_out")).json()["id"]
    await dropping.put(drop, "later.csv", GOOD)
    await known(dropping, "closed")

    with pytest.raises(asyncssh.PermissionDenied):
        await dropping.put(drop, "refused.csv", GOOD)
    # The http fixture's own view of keys is pulled each second.
    await dropping.until("the doors have heard of it", lambda: _refused(ingest))
    for method, path, more in (
        ("GET", "/v1/imports", {}),
        ("POST", "/v1/drops", {"json": {"name": "x", "list": str(ingest.list_id)}}),
        ("POST", f"/v1/drops/{drop['id']}:pgp-key", {}),
        ("POST", f"/v1/imports/{waits}:approve", {}),
    ):
        assert await refusal(ingest, method, path, **more) == (403, "account_closed"), path
    assert (await ingest.send(FILE)).status_code == 403
    await dropping.look()
    assert dropping.names(drop, "in") == ["later.csv"], "nothing is taken"
    # What was sent before waits; an opt-out is a "no", and is read.
    assert await ingest.read()
    assert not await ingest.read()
    states = dict((await ingest.run("SELECT id::text, state FROM imports")).all())
    assert states == {waits: "received", no: "staged"}

    await known(dropping, "open")
    assert await ingest.read()


async def _refused(ingest: Ingest) -> bool:
    return (await ingest.http.get("/v1/imports")).status_code == 403


async def test_no_row_and_no_file_of_the_account_is_left(dropping: Dropping, tmp_path: Path) -> None:
    ingest = dropping.ingest
    drop = await dropping.open()
    await ingest.http.post(f"/v1/drops/{drop['id']}:pgp-key")
    profile = {"name": "Zaira's profile", "options": {"delimiter": ";"}}
    assert (await ingest.http.post("/v1/import-profiles", json=profile)).status_code == 201
    await ingest.imported(FILE)
    await dropping.put(drop, "people.csv", FILE)
    await dropping.taken(drop)
    await ingest.send(FILE)
    other_files = await _another_account(dropping)
    assert {"imports", "import_profiles", "drops", "drop_files", "pgp_keys"} <= set(
        await tables_of_account(ingest.db, ingest.account)
    )
    await known(dropping, "closed")

    event = AccountEmptied(account_id=ingest.account, occurred_at=SystemClock().now())
    heard = Heard("ingest", event.event_id)
    await hear_emptied(ingest.db, event, heard)
    with pytest.raises(AlreadyHeard):
        await hear_emptied(ingest.db, event, heard)
    worker = EmptyAccounts(ingest.db, EMPTYING, forgetting(ingest.db, ingest.files))
    assert await worker.step(NEVER)
    assert "imports" in await tables_of_account(ingest.db, ingest.account), "the collector has its turn first"
    await dropping.look()
    assert not (tmp_path / "drops" / str(ingest.account) / drop["id"]).exists()
    await ingest.run("UPDATE emptyings SET due_at = now()")
    assert await worker.step(NEVER)
    assert not await worker.step(NEVER)

    left = await tables_of_account(ingest.db, ingest.account)
    assert set(left) <= set(SHARED_KEPT), left
    assert await tables_naming(ingest.db, PERSON) == []
    assert files_naming(tmp_path, PERSON) == []
    assert [one for one in ingest.on_disk() if "keys" not in one and not one.endswith("lock")] == other_files


async def _another_account(dropping: Dropping) -> list[str]:
    """Files of another account: theirs stay. Its import is written as the house would."""
    ingest = dropping.ingest
    other, secret = ingest.contacts.account_key()
    before = set(ingest.on_disk())
    ingest_list = ingest.contacts.open_list(other)
    sent = await ingest.http.post(
        "/v1/imports",
        files={"file": ("a.csv", b"email\nbob@example.it\nnobody\n", "text/csv")},
        data={"options": json.dumps({"list": str(ingest_list), "mode": "incremental"})},
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert sent.status_code == 202, sent.text
    while await ingest.read():
        pass
    import_id = UUID(sent.json()["id"])
    return sorted(one for one in set(ingest.on_disk()) - before if str(import_id) in one)


async def test_the_archive_has_every_part_and_no_secret(dropping: Dropping) -> None:
    ingest = dropping.ingest
    drop = await dropping.open()
    await ingest.http.post(f"/v1/drops/{drop['id']}:pgp-key")
    assert (
        await ingest.http.post("/v1/import-profiles", json={"name": "p", "options": {"delimiter": ";"}})
    ).status_code == 201
    await dropping.put(drop, "people.csv", FILE)
    (taken,) = await dropping.taken(drop)
    assert await ingest.read()
    parts: dict[str, list[dict[str, Any]]] = {}
    async for rows in rows_of(archive_account(ingest.db, ingest.account)):
        for row in rows:
            parts.setdefault(row["name"], []).append(json.loads(row["line"]))
    assert list(parts) == list(PARTS)
    assert [len(rows) for rows in parts.values()] == [1] * 5
    (sent,) = parts["ingest/imports.jsonl"]
    assert (sent["id"], sent["counts"]["rejected"]) == (taken["import"], 1)
    secrets = {"password_hash", "sealed_key", "lease"}
    assert not secrets & {name for rows in parts.values() for row in rows for name in row}
    assert parts["ingest/drops.jsonl"][0]["user_name"] == drop["user_name"]
