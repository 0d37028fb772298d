"""integration: of an account that is gone every "no" stays in the ledger, in force and proved, and a new one is taken."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from mailmaker.common.contracts.accounts import AccountEmptied
from mailmaker.common.ops.clock import SystemClock
from mailmaker.common.storage.emptying import SHARED_EMPTIED, EmptyAccounts, hear_emptied
from mailmaker.common.storage.engine import Database, Heard
from mailmaker.common.testing.traces import tables_of_account
from mailmaker.suppression.storage.archive import PARTS
from mailmaker.suppression.storage.emptying import EMPTYING
from suppression_house import Door, FakeContacts, bearer, service

NEVER = asyncio.Event()


async def test_no_no_goes_and_a_new_one_is_taken(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    ada = contacts.contact(contacts.list(account), "ada@example.it")
    wish = {"channel": "email", "scope": "account", "email": "bob@example.it", "reason": "manual"}
    headers = {**bearer(secret), "Idempotency-Key": "once"}
    assert (await door.http.post("/v1/suppressions", json=wish, headers=headers)).status_code == 201
    assert (await door.http.post(f"/u/{door.token(account, ada)}")).status_code == 200
    await door.enforce()
    db: Database = door.running.app.state.house.db
    before = await tables_of_account(db, account.account_id)
    assert before["idempotency"] == 1
    contacts.version += 1
    contacts.accounts[account.account_id] = account.model_copy(
        update={"state": "closed", "version": contacts.version}
    )
    await door.running.app.state.keyring.pull()

    event = AccountEmptied(account_id=account.account_id, occurred_at=SystemClock().now())
    await hear_emptied(db, event, Heard("suppression", event.event_id))
    # The house's own worker looks every few seconds: one of the two does it.
    await EmptyAccounts(db, EMPTYING).step(NEVER)

    async def emptied() -> bool:
        async with db.account(account.account_id) as tx:
            return bool(await tx.driver.fetchval("SELECT emptied_at IS NOT NULL FROM emptyings"))

    async with asyncio.timeout(30):
        while True:
            if await emptied():
                break
            await asyncio.sleep(0.05)
    after = await tables_of_account(db, account.account_id)
    assert not set(after) & set(SHARED_EMPTIED)
    kept = {"ledger", "evidence", "subjects", "standing", "feed", "enforcements", "account_heads"}
    assert {name: before[name] for name in kept} == {name: after[name] for name in kept}

    # The person clicks in an old mail of the account that is gone: taken, and numbered on.
    eve = contacts.contact(contacts.list(account), "eve@example.it")
    assert (await door.http.post(f"/u/{door.token(account, eve)}")).status_code == 200
    again = await door.http.post(
        "/v1/suppressions", json={**wish, "email": "gil@example.it"}, headers=bearer(secret)
    )
    assert again.status_code == 201, again.text
    assert (await door.feed())["head"] == 4
    refused = await door.http.get("/v1/suppressions", headers=bearer(secret))
    assert (refused.status_code, refused.json()["code"]) == (403, "account_closed")


async def test_the_archive_has_every_no_with_its_proof(door: Door, contacts: FakeContacts) -> None:
    account, secret = contacts.account()
    other, _ = contacts.account()
    ada = contacts.contact(contacts.list(account), "ada@example.it")
    told = await door.http.post(f"/u/{door.token(account, ada)}", headers={"User-Agent": "A browser"})
    assert told.status_code == 200
    await door.http.post(f"/u/{door.token(account, ada)}")
    wish = {"channel": "email", "scope": "account", "email": "bob@example.it", "reason": "manual"}
    made = (await door.http.post("/v1/suppressions", json=wish, headers=bearer(secret))).json()
    await door.enforce()
    released = await door.http.request(
        "DELETE", f"/v1/suppressions/{made['id']}", json={"reason": "a mistake"}, headers=bearer(secret)
    )
    assert released.status_code in (200, 204), released.text

    parts: dict[str, list[dict[str, Any]]] = {name: [] for name in PARTS}
    answer = await door.http.get(f"/internal/accounts/{account.account_id}/archive", headers=service())
    assert answer.status_code == 200
    assert answer.text.endswith("end,\n")
    for line in answer.text.splitlines()[:-1]:
        name, _, text = line.partition(",")
        parts[name].append(json.loads(text[1:-1].replace('""', '"')))
    entries = {one["id"]: one for one in parts["suppression/suppressions.jsonl"]}
    assert len(entries) == 2
    assert entries[made["id"]]["released"]["reason"] == "a mistake"
    (click,) = (one for one in entries.values() if one["id"] != made["id"])
    assert click["contact_id"] == str(ada.contact_id)
    assert click["evidence"]
    assert click["enforced"][0]["at"]
    assert click["released"] is None
    (repeat,) = parts["suppression/repeats.jsonl"]
    assert repeat["suppression_id"] == click["id"]
    assert "named" not in click
    nothing = await door.http.get(f"/internal/accounts/{other.account_id}/archive", headers=service())
    assert nothing.text == "end,\n"
    assert (await door.http.get(f"/internal/accounts/{account.account_id}/archive")).status_code == 401
