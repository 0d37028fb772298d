"""No account sees or touches a byte of another one: by every published call, and by row-level security alone."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from apart_calls import HOUSES, Ids, Sent, operations, sweep
from e2e_rig import Rig, eventually
from mailmaker.common.demo.client import Client
from mailmaker.common.demo.doors import person_of

MARK = "zqowner"
"""Stands in every name and address of the account that is to be seen nothing of, and in nothing else."""
PEOPLE = 4
EACH = 12
REFUSED = frozenset({400, 403, 404, 405, 413, 415, 422, 428})
OF_THE_PUBLIC = "/u/{token}"
"""A link opens for whoever holds it: it is no call of an account."""
SECRETS_OF_NO_ACCOUNT = ("/v1/accounts", "/v1/journals")
"""The operator's."""


async def _owner(rig: Rig) -> tuple[dict[str, list[str]], Client]:
    """An account with something in every house, and its ids by the names that calls give them."""
    send = rig.client.send
    list_id = await rig.client.open_list(f"{MARK} list")
    of = f"/v1/lists/{list_id}"
    await send("PUT", f"{of}/fields", {"fields": [{"name": f"{MARK}field", "type": "text"}]})
    await send("PUT", f"{of}/cap-policy", {"email": {"day": 77}})
    rule = {"field": "name", "op": "eq", "value": MARK}
    segment = (await send("POST", f"{of}/segments", {"name": f"{MARK} segment", "rule": rule}))["id"]
    rows = "".join(f"p{i}.{MARK}@apart.test,{MARK}\n" for i in range(PEOPLE))
    file = rig.directory / "apart.csv"
    file.write_text(f"email,name\n{rows}nonsense,{MARK}\n", encoding="utf-8")
    done = await rig.client.import_file(list_id, file)
    assert done["counts"]["created"] == PEOPLE
    contacts = [one["id"] for one in await rig.every(f"{of}/contacts")]
    field = (await send("GET", f"{of}/fields"))["fields"][0]["id"]
    profile = (
        await send("POST", "/v1/import-profiles", {"name": f"{MARK} profile", "options": {"delimiter": ";"}})
    )["id"]
    drop = (await send("POST", "/v1/drops", {"name": f"{MARK} drop", "list": list_id}))["id"]
    key = (await send("POST", "/v1/api-keys", {"name": f"{MARK} key", "scopes": ["contacts:read"]}))["id"]
    export = (await send("POST", f"{of}/exports", {"format": "csv"}))["id"]
    await rig.client.wait(f"{of}/exports/{export}", ("ready", "failed"))
    mailing = await rig.mailing([list_id], f"{MARK} mailing")
    shown = await send("GET", f"/v1/mailings/{mailing}")
    await rig.start(mailing)
    await rig.finished(mailing)
    (mail, *_) = rig.seen(mailing)
    person = person_of(mail.recipients[0], rig.stage.ledger.message(mail))
    doors = rig.doors(list_id)
    told = await rig.enforced(doors, await doors.say(person, "mail"))
    await doors.close()
    assert told.suppression_id is not None

    async def reported() -> list[dict[str, Any]]:
        return await rig.every("/v1/reports")

    report = (await eventually("the mail is a report", reported))[0]["id"]
    domain = (await send("GET", "/v1/domains"))["items"][0]["id"]
    ids = {
        "list": [list_id], "list_id": [list_id], "lists": [list_id], "contact": contacts, "contact_id": contacts,
        "other": contacts, "segment": [segment], "segment_id": [segment], "field_id": [field], "import_id": [done["id"]],
        "profile": [profile], "profile_id": [profile], "drop_id": [drop], "key_id": [key], "mailing": [mailing],
        "mailing_id": [mailing], "template": [shown["template"]], "template_id": [shown["template"]],
        "sender": [shown["sender"]], "domain": [domain], "domain_id": [domain], "id": [str(told.suppression_id)],
        "report": [report], "export_id": [export], 
        **await _ways_out(rig),
        "account": [rig.stage.dev["account_id"]],
        "account_id": [rig.stage.dev["account_id"]], "email": [f"p0.{MARK}@apart.test"], "q": [MARK],
    }  # fmt: skip
    return ids, rig.client


async def _ways_out(rig: Rig) -> dict[str, list[str]]:
    """A pool with a source and a rule. While the account has it, nothing of its mail leaves by the platform's own server."""
    account = rig.stage.dev["account_id"]
    pool = (await rig.operator.send("POST", "/v1/pools", {"account": account, "name": f"{MARK} pool"}))["id"]
    wish = {
        "account": account,
        "pool": pool,
        "name": f"{MARK} source",
        "driver": "direct",
        "address": "127.0.9.1",
    }
    source = (await rig.operator.send("POST", "/v1/sources", wish | {"ehlo": "apart.test"}))["id"]
    route = (await rig.client.send("POST", "/v1/routes", {"name": f"{MARK} rule", "pool": pool}))["id"]
    return {"pool": [pool], "pool_id": [pool], "source_id": [source], "route_id": [route]}


async def _close_ways(rig: Rig) -> None:
    whose = {"account": rig.stage.dev["account_id"]}
    for kind in ("routes", "sources", "pools"):
        for one in (await rig.operator.send("GET", f"/v1/{kind}", params=whose))["items"]:
            await rig.operator.send("DELETE", f"/v1/{kind}/{one['id']}", params=whose)


@pytest.fixture
async def ways_closed(rig: Rig) -> AsyncIterator[None]:
    yield
    await _close_ways(rig)


async def _stranger(rig: Rig) -> str:
    """Another account's first key: all scopes, not the platform's."""
    made = await rig.operator.send("POST", "/v1/accounts", {"name": "stranger"})
    key: str = made["key"]

    async def known() -> bool:
        async with Client(rig.stage.dev["base_url"], key) as client:
            return (await client.raw("GET", "/v1/imports")).status_code == 200

    await eventually("the new key is known everywhere", known)
    return key


async def _shown(rig: Rig, ids: Ids) -> dict[str, Any]:
    """All that the owner can read, as text."""
    list_id, mailing = ids["list"][0], ids["mailing"][0]
    one_by_one = (
        f"/v1/lists/{list_id}", f"/v1/lists/{list_id}/fields", f"/v1/lists/{list_id}/cap-policy",
        f"/v1/lists/{list_id}/segments", f"/v1/imports/{ids['import_id'][0]}", f"/v1/plans/{ids['import_id'][0]}",
        f"/v1/import-profiles/{ids['profile'][0]}", f"/v1/drops/{ids['drop_id'][0]}", f"/v1/mailings/{mailing}",
        f"/v1/templates/{ids['template'][0]}", f"/v1/suppressions/{ids['id'][0]}", f"/v1/domains/{ids['domain'][0]}",
    )  # fmt: skip
    shown = {path: await rig.client.send("GET", path) for path in one_by_one}
    for path in (
        f"/v1/lists/{list_id}/contacts",
        "/v1/lists",
        "/v1/import-profiles",
        "/v1/drops",
        "/v1/senders",
        "/v1/pools",
        "/v1/sources",
        "/v1/routes",
    ):
        shown[f"{path} all"] = await rig.every(path)
    shown["keys"] = sorted(one["id"] for one in await rig.every("/v1/api-keys"))
    return json.loads(json.dumps(shown, default=str))  # type: ignore[no-any-return]


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("ways_closed")
async def test_no_call_with_anothers_ids_finds_a_byte(rig: Rig) -> None:
    ids, _ = await _owner(rig)
    stranger = await _stranger(rig)
    before = await _shown(rig, ids)
    assert json.dumps(before).count(MARK) > 10
    secret = {one for known in ids.values() for one in known}
    answers: Counter[int] = Counter()

    def look(sent: Sent) -> None:
        method, path, answer = sent
        answers[answer.status_code] += 1
        assert answer.status_code < 500, (method, path, answer.text)
        asked = answer.request.url.raw_path.decode() + answer.request.content.decode("utf-8", "replace")
        told = answer.text
        if MARK not in asked:
            assert MARK not in told, (method, path, told)
        assert [one for one in secret if one in told and one not in asked] == [], (method, path, told)
        if any(one in path for one in secret):
            assert answer.status_code in REFUSED, (method, path, answer.status_code, told)

    def go() -> None:
        headers = {"Authorization": f"Bearer {stranger}"}
        with httpx.Client(
            base_url=rig.stage.dev["base_url"], headers=headers, timeout=60, trust_env=False
        ) as http:
            for operation in operations():
                if operation.path != OF_THE_PUBLIC:
                    sweep(http, operation, ids, EACH, look)

    await asyncio.to_thread(go)
    assert answers[404] > 100, answers
    assert answers[200] > 20, "the stranger's own account is open to it"
    assert await _shown(rig, ids) == before

    reached: set[str] = set()

    def control(sent: Sent) -> None:
        if sent[2].status_code == 200:
            reached.add(sent[1])

    def same_with_the_owners_key() -> None:
        """What finds nothing for the stranger is there: the check above can fail."""
        headers = {"Authorization": f"Bearer {rig.stage.dev['account_key']}"}
        with httpx.Client(
            base_url=rig.stage.dev["base_url"], headers=headers, timeout=60, trust_env=False
        ) as http:
            for operation in operations():
                if operation.method == "get" and _is_the_owners(operation.path):
                    count = len(reached)
                    sweep(http, operation, ids, 1, control)
                    assert len(reached) > count, operation.path

    await asyncio.to_thread(same_with_the_owners_key)


def _is_the_owners(path: str) -> bool:
    return "{" in path and path != OF_THE_PUBLIC and not path.startswith(SECRETS_OF_NO_ACCOUNT)


@pytest.mark.timeout(300)
async def test_row_level_security_alone_shows_nothing(rig: Rig) -> None:
    """No handler and no filter: each house's own role, told the stranger's account, reads every table whole."""
    owner = UUID(rig.stage.dev["account_id"])
    made = await rig.operator.send("POST", "/v1/accounts", {"name": "another stranger"})
    stranger = UUID(made["id"])
    conn = await asyncpg.connect(rig.stage.dev["database_url"], timeout=10)
    held: Counter[str] = Counter()
    try:
        for house in HOUSES:
            tables = await conn.fetch(
                "SELECT table_name FROM information_schema.columns WHERE table_schema = $1 AND column_name = 'account_id'"
                " ORDER BY 1", house,
            )  # fmt: skip
            assert tables, house
            for row in tables:
                table = f'{house}."{row["table_name"]}"'
                async with conn.transaction():
                    await conn.execute(f"SET LOCAL ROLE mailmaker_{house}")
                    count = f"SELECT count(*) FROM {table} WHERE account_id = $1"
                    seen = {}
                    for account in (stranger, owner):
                        await conn.execute("SELECT set_config('mailmaker.account', $1, true)", str(account))
                        seen[account] = await conn.fetchval(count, owner)
                    held[house] += seen[owner]
                    assert seen[stranger] == 0, table
                    await conn.execute("SELECT set_config('mailmaker.account', $1, true)", str(stranger))
                    if await conn.fetchval("SELECT has_table_privilege($1, 'DELETE')", table):
                        gone = await conn.execute(f"DELETE FROM {table} WHERE account_id = $1", owner)
                        assert gone == "DELETE 0", table
    finally:
        await conn.close()
    assert min(held[house] for house in HOUSES) > 0, held
