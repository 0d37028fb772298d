"""integration: every house's schema: row-level security, keys that begin with the account, no owner at the door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from mailmaker.common.ops.lifecycle import house_names
from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.ids import new_id
from mailmaker.common.storage.migrate import migrate
from mailmaker.common.storage.schema import newest_revision
from sqlalchemy import text
from sqlalchemy.engine import make_url

Make = Callable[[str], Awaitable[Database]]

_UNPROTECTED = text("""
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
   AND (NOT c.relrowsecurity OR NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
""")
# The outbox is a queue in commit order; the feed's and the accounts' numbers are the platform's; a secret's hash and
# a drop's user name are looked up before their account is known; the address that mail leaves from is one account's.
_BY_DESIGN = {
    "outbox_pkey", "feed_number", "known_keys_secret_hash_key", "known_accounts_number_key", "accounts_number_key",
    "drops_user_name_key", "sources_address",
}  # fmt: skip
_KEYS = text("""
SELECT i.relname, (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = x.indrelid AND a.attnum = x.indkey[0]) AS leads
  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
 WHERE c.relnamespace = current_schema()::regnamespace AND x.indisunique
   AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'account_id')
""")
_OWNED = text("""
SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND pg_has_role(relowner, 'USAGE')
""")


@pytest.mark.parametrize("house", house_names())
async def test_every_account_table_is_protected(house: str, database_of: Make) -> None:
    db = await database_of(house)
    async with db.platform() as tx:
        assert (await tx.execute(_UNPROTECTED)).scalars().all() == []
        assert (await tx.execute(_OWNED)).scalars().all() == [], "an owner is not bound by row-level security"
        leads = {row.relname: row.leads for row in await tx.execute(_KEYS)}
    assert leads
    loose = {name for name, first in leads.items() if first != "account_id"} - _BY_DESIGN
    assert not loose, "every unique key of account rows begins with account_id"


_WAITS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'virtualxid' AND query LIKE 'CREATE INDEX%'
"""
_BROKEN = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"


async def test_several_migrate_at_once_while_somebody_reads(postgres: str) -> None:
    """An index that is built concurrently waits for whoever reads, and nobody who migrates waits as a reader."""
    admin = await asyncpg.connect(postgres)
    name = f"t_{new_id().hex}"
    await admin.execute(f'CREATE DATABASE "{name}"')
    url = make_url(postgres).set(database=name).render_as_string(hide_password=False)
    reader = await asyncpg.connect(url)
    try:
        async with reader.transaction(isolation="repeatable_read"):
            await reader.fetchval("SELECT count(*) FROM pg_class")
            all_of_them = asyncio.gather(*(migrate("contacts", url) for _ in range(3)))
            while not await admin.fetchval(_WAITS, name):
                assert not all_of_them.done(), "nothing has waited for the reader"
                await asyncio.sleep(0.05)
        assert set(await asyncio.wait_for(all_of_them, 60)) == {newest_revision("contacts")}
        assert await reader.fetchval(_BROKEN) == 0
    finally:
        await reader.close()
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()
