"""contacts.storage.search: contacts found by what they hold, page by page, in one of a few orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.contact import Contact
from mailmaker.contacts.errors import SearchTooSlow
from mailmaker.contacts.storage.contacts import COLUMNS, contact_of

# A search reads, and nobody waits longer for a page than this; what it would have held up goes on.
PATIENCE = "SET LOCAL statement_timeout = '5s'"
# The place of a contact in each order: never null, and the id decides between equals.
SORTS = {
    "key": ("key_text", "text"),
    "created_at": ("created_at", "timestamptz"),
    "changed_at": ("changed_at", "timestamptz"),
    "email": ("lower(coalesce(email, ''))", "text"),
    "surname": ("lower(coalesce(surname, ''))", "text"),
}
# Each question has a statement of its own: one that asks "is it given?" at every row would reach no index.
_QUESTIONS = {
    "email_key": "email_key = $%d",
    "mobile_key": "mobile_key = $%d",
    "fkey_hash": "fkey_hash = $%d",
    "like": "(email ILIKE $%d OR mobile LIKE $%d OR fkey ILIKE $%d OR concat_ws(' ', name, surname) ILIKE $%d)",
    "email_consent": "email_consent = $%d",
    "sms_consent": "sms_consent = $%d",
    "any_consent": "$%d IN (email_consent, sms_consent)",
    "changed_since": "changed_at >= $%d",
}
ANYWHERE = f"""
SELECT {COLUMNS} FROM contacts
 WHERE account_id = $1 AND {{}} = $2 AND ($3::uuid[] IS NULL OR list_id = ANY($3)) AND id > $4 ORDER BY id LIMIT $5
"""
Place = tuple[str | datetime, UUID]


@dataclass(frozen=True, slots=True)
class Asked:
    """What contacts must have. None asks nothing."""

    email_key: bytes | None = None
    mobile_key: bytes | None = None
    fkey_hash: bytes | None = None
    like: str | None = None
    email_consent: str | None = None
    sms_consent: str | None = None
    any_consent: str | None = None
    changed_since: datetime | None = None


def query(asked: Asked, sort: str, *, descending: bool, after: bool) -> tuple[str, list[object]]:
    """The statement of a page and its values from $4 (or $6) on. $1 account, $2 list, $3 limit; $4 and $5 the place
    after which the page begins."""
    place, kind = SORTS[sort]
    first = 6 if after else 4
    given = [(name, getattr(asked, name)) for name in _QUESTIONS if getattr(asked, name) is not None]
    wheres = [_QUESTIONS[name].replace("%d", str(n)) for n, (name, _) in enumerate(given, start=first)]
    if after:
        wheres.append(f"({place}, id) {'<' if descending else '>'} ($4::{kind}, $5::uuid)")
    direction = " DESC" if descending else ""
    text = f"""
SELECT {COLUMNS}, {place} AS place FROM contacts WHERE account_id = $1 AND list_id = $2
{"".join(f" AND {where}" for where in wheres)} ORDER BY place{direction}, id{direction} LIMIT $3
"""
    return text, [value for _, value in given]


async def page(
    tx: Transaction,
    account_id: UUID,
    list_id: UUID,
    asked: Asked,
    *,
    sort: str,
    descending: bool,
    after: Place | None,
    limit: int,
) -> list[tuple[Contact, str | datetime]]:
    """Contacts, each with its place in the order. Raises SearchTooSlow."""
    text, values = query(asked, sort, descending=descending, after=after is not None)
    rows = await _patiently(tx, text, account_id, list_id, limit, *(after or ()), *values)
    return [(contact_of(row), row["place"]) for row in rows]


async def anywhere(
    tx: Transaction,
    account_id: UUID,
    key: bytes,
    *,
    mobile: bool,
    lists: Sequence[UUID] | None,
    after: UUID,
    limit: int,
) -> list[Contact]:
    """Contacts of every list of the account (or of some) that have an address, oldest first. Raises SearchTooSlow."""
    text = ANYWHERE.format("mobile_key" if mobile else "email_key")
    some = None if lists is None else list(lists)
    return [contact_of(row) for row in await _patiently(tx, text, account_id, key, some, after, limit)]


async def _patiently(tx: Transaction, text: str, *values: object) -> list[asyncpg.Record]:
    await tx.driver.execute(PATIENCE)
    try:
        return list(await tx.driver.fetch(text, *values))
    except asyncpg.QueryCanceledError as wrong:
        raise SearchTooSlow("ask for less: an address, a key, or a later changed_since") from wrong


def pattern(text: str) -> str:
    """What finds a text anywhere in a field, with nothing in it taken for a wildcard."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
