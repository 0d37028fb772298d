"""integration: every house's schema: row-level security, keys that begin with the account, no owner at the door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from mailmaker.common.ops.lifecycle import house_names
from mailmaker.common.storage.engine import Database
from sqlalchemy import text

Make = Callable[[str], Awaitable[Database]]

_UNPROTECTED = text("""
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
   AND (NOT c.relrowsecurity OR NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid))
""")
# The outbox is a queue in commit order; the feed's and the accounts' numbers are the platform's; a secret's hash and
# a drop's user name are looked up before their account is known.
_BY_DESIGN = {
    "outbox_pkey", "feed_number", "known_keys_secret_hash_key", "known_accounts_number_key", "accounts_number_key",
    "drops_user_name_key",
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
