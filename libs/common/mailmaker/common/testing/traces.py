"""common.testing.traces: where a house still holds a text, or rows of an account: every table, every file of a directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from mailmaker.common.storage.engine import Database

_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') ORDER BY relname"

_ACCOUNTS_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
 WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname
"""


async def tables_of_account(db: Database, account_id: UUID) -> dict[str, int]:
    """Tables with rows of an account, and how many each has."""
    found = {}
    async with db.platform() as tx:
        for row in await tx.driver.fetch(_ACCOUNTS_TABLES, db.house):
            name = row["relname"]
            many = await tx.driver.fetchval(
                f'SELECT count(*) FROM "{name}" WHERE account_id = $1', account_id
            )
            if many:
                found[name] = int(many)
    return found


async def tables_naming(db: Database, texts: Sequence[str]) -> list[str]:
    """Tables with a row that holds one of the texts in any column, whatever its case; bytes are looked at as hex."""
    patterns = [f"%{text}%" for one in texts for text in (one, one.encode().hex())]
    found = []
    async with db.platform() as tx:
        for row in await tx.driver.fetch(_TABLES, db.house):
            name = row["relname"]
            if await tx.driver.fetchval(
                f'SELECT EXISTS (SELECT FROM "{name}" t WHERE t::text ILIKE ANY($1::text[]))', patterns
            ):
                found.append(name)
    return found


def files_naming(root: Path, texts: Sequence[str]) -> list[str]:
    """Files below a directory that hold one of the texts as UTF-8."""
    wanted = [text.encode() for text in texts]
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and any(one in path.read_bytes() for one in wanted)
    )
