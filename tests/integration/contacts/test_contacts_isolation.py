"""integration: no byte of another account: row-level security alone, and the handlers alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from contacts_house import Client, Rig
from mailmaker.common.storage.ids import new_id
from mailmaker.common.storage.pepper import GuardPepper, WrongPepper
from sqlalchemy.engine import make_url

TABLES = (
    "accounts",
    "api_keys",
    "lists",
    "list_fields",
    "contacts",
    "contact_history",
    "plans",
    "plan_rows",
    "nos",
    "tombstones",
)


async def _two(rig: Rig) -> tuple[Client, Client, UUID, dict[str, Any], str]:
    """Two accounts; the first has something in every table."""
    mine, other = await rig.client("a"), await rig.client("b")
    list_id = await mine.open_list()
    await mine.ask("PUT", f"/v1/lists/{list_id}/fields", {"fields": [{"name": "points", "type": "number"}]})
    rows = [{"email": f"p{i}@example.com"} for i in range(3)]
    plan = await rig.import_rows(mine, list_id, rows)
    contact = await mine.put(list_id, email="anna@example.com", name="Anna", mobile="+393471234567")
    rig.suppression.say(mine.account, [rig.email_subject(mine, "p0@example.com")])
    await rig.follow.catch_up()
    gone = (await mine.contacts(list_id))["p1@example.com"]["id"]
    assert (await mine.ask("POST", f"/v1/lists/{list_id}/contacts/{gone}:erase")).status_code == 204
    return mine, other, list_id, contact, plan["import_id"]


async def test_row_level_security_alone_keeps_accounts_apart(rig: Rig) -> None:
    """No filter in these statements: what another account sees is what the policies let through."""
    mine, other, *_ = await _two(rig)
    async with rig.db.account(mine.account) as tx:
        assert [t for t in TABLES if not await tx.driver.fetchval(f"SELECT count(*) FROM {t}")] == []
    async with rig.db.account(other.account) as tx:
        for table in TABLES:
            owners = {row["account_id"] for row in await tx.driver.fetch(f"SELECT account_id FROM {table}")}
            assert owners <= {other.account}, table
        assert await tx.driver.execute("UPDATE contacts SET name = 'x'") == "UPDATE 0"
        assert await tx.driver.execute("DELETE FROM contacts") == "DELETE 0"
    async with rig.db.account(new_id()) as tx:
        for table in TABLES:
            assert await tx.driver.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_row_level_security_refuses_rows_of_another_account(rig: Rig) -> None:
    mine, other, *_ = await _two(rig)
    with pytest.raises(Exception, match="row-level security"):
        async with rig.db.account(other.account) as tx:
            await tx.driver.execute(
                "INSERT INTO tombstones (account_id, channel, subject, erased_at) VALUES ($1, 'email', '\\x00', now())",
                mine.account,
            )


def _doors(list_id: UUID, contact: dict[str, Any], import_id: str, key_id: str) -> list[tuple[str, str, Any]]:
    of, one = f"/v1/lists/{list_id}", f"/v1/lists/{list_id}/contacts/{contact['id']}"
    return [
        ("GET", of, None), ("PATCH", of, {"name": "x"}), ("DELETE", of, None), ("GET", f"{of}/fields", None),
        ("PUT", f"{of}/fields", {"fields": []}), ("GET", f"{of}/cap-policy", None), ("PUT", f"{of}/cap-policy", {}),
        ("GET", f"{of}/contacts", None), ("PUT", f"{of}/contacts", {"email": "z@example.com"}),
        ("POST", f"{of}/contacts:batch", {"items": [{"contact": {"email": "z@example.com"}}]}), ("GET", one, None),
        ("PATCH", one, {"name": "x"}), ("DELETE", one, None), ("GET", f"{one}/history", None),
        ("POST", f"{one}:erase", None), ("POST", f"{one}:merge", {"other": str(new_id())}),
        ("PATCH", f"{of}/fields/points", {"name": "x"}), ("GET", f"{of}/contacts?sort=-created_at&consent=subscribed", None),
        ("GET", f"/v1/plans/{import_id}", None), ("GET", f"/v1/plans/{import_id}/rows", None),
        ("DELETE", f"/v1/api-keys/{key_id}", None),
    ]  # fmt: skip


async def _closed(rig: Rig) -> None:
    mine, other, list_id, contact, import_id = await _two(rig)
    key_id = (await mine.ask("GET", "/v1/api-keys")).json()["items"][0]["id"]
    for method, path, body in _doors(list_id, contact, import_id, key_id):
        answer = await other.ask(method, path, body)
        assert answer.status_code == 404, f"{method} {path}: {answer.status_code} {answer.text}"
    assert (await other.ask("GET", "/v1/lists")).json()["items"] == []
    for params in ({"email": "anna@example.com"}, {"mobile": "+393471234567"}):
        found = await other.ask("GET", "/v1/contacts", params=params)
        assert (found.status_code, found.json()) == (200, {"items": [], "next": None})
        assert [c["id"] for c in (await mine.ask("GET", "/v1/contacts", params=params)).json()["items"]] == [
            contact["id"]
        ]
    # Nor does another account's contact get into a merge of one's own.
    theirs = await other.open_list()
    own = await other.put(theirs, email="own@example.com")
    merged = await other.ask(
        "POST", f"/v1/lists/{theirs}/contacts/{own['id']}:merge", {"other": contact["id"]}
    )
    assert (merged.status_code, merged.json()["errors"][0]["pointer"]) == (422, "/other")
    assert len((await other.ask("GET", "/v1/api-keys")).json()["items"]) == 1
    assert (await mine.ask("GET", f"/v1/lists/{list_id}/contacts/{contact['id']}")).json()["name"] == "Anna"
    answer = await rig.inside(
        "/internal/audience", account=str(other.account), channel="email", list=[str(list_id)], fields=""
    )
    assert answer.text == ""


async def test_doors_are_closed_to_other_accounts(rig: Rig) -> None:
    await _closed(rig)


async def test_handlers_alone_keep_accounts_apart(rig: Rig, postgres: str) -> None:
    """Row-level security is off: what is left is the account in each statement."""
    database = make_url(rig.db._dsn).database
    admin = make_url(postgres).set(database=database).render_as_string(hide_password=False)
    conn = await asyncpg.connect(admin)
    try:
        for row in await conn.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'contacts'::regnamespace AND relrowsecurity"
        ):
            await conn.execute(f'ALTER TABLE contacts."{row["relname"]}" DISABLE ROW LEVEL SECURITY')
    finally:
        await conn.close()
    await _closed(rig)


async def test_a_key_limited_to_some_lists_touches_no_other(rig: Rig) -> None:
    client = await rig.client()
    one, two = await client.open_list(), await client.open_list()
    wish = {
        "name": "one list",
        "scopes": ["lists:read", "contacts:write", "contacts:read", "keys:write"],
        "lists": [str(one)],
    }
    made = (await client.ask("POST", "/v1/api-keys", wish)).json()
    limited = Client(rig.http, client.account, client.number, made["key"])
    assert [it["id"] for it in (await limited.ask("GET", "/v1/lists")).json()["items"]] == [str(one)]
    await limited.put(one, email="a@example.com")
    refused = await limited.ask("PUT", f"/v1/lists/{two}/contacts", {"email": "a@example.com"})
    assert (refused.status_code, refused.json()["code"]) == (403, "list_not_allowed")
    wider = await limited.ask(
        "POST", "/v1/api-keys", {"name": "x", "scopes": ["lists:read"], "lists": [str(two)]}
    )
    assert wider.json()["errors"][0]["pointer"] == "/lists/0"
    same = await limited.ask("POST", "/v1/api-keys", {"name": "x", "scopes": ["lists:read"]})
    assert same.json()["lists"] == [str(one)]


async def test_another_pepper_is_a_refusal_to_start(rig: Rig) -> None:
    guard = GuardPepper(rig.db, "0123456789abcdef")
    await guard.open()
    assert await guard.ready() is None
    with pytest.raises(WrongPepper):
        await GuardPepper(rig.db, "fedcba9876543210").open()
