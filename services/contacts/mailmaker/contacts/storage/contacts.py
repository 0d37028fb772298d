"""contacts.storage.contacts: contacts by key and by id, read and written in sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import asyncpg
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.consent import Consent
from mailmaker.contacts.domain.contact import AddressKeys, Contact
from mailmaker.contacts.domain.lists import STANDARD_FIELDS
from mailmaker.contacts.errors import KeyTaken

FIELDS = ", ".join(STANDARD_FIELDS)
COLUMNS = (
    f"account_id, list_id, id, key_text, {FIELDS}, custom::text AS custom, email_consent, sms_consent, "
    "email_key, mobile_key, fkey_hash, created_at, changed_at, version"
)
_WRITTEN = (
    "key_text",
    *STANDARD_FIELDS,
    "custom",
    "email_consent",
    "sms_consent",
    "email_key",
    "mobile_key",
    "fkey_hash",
    "changed_at",
    "version",
)
BY_KEYS = f"""
SELECT {COLUMNS} FROM contacts WHERE account_id = $1 AND list_id = $2 AND key_text = ANY($3::text[]) ORDER BY id FOR UPDATE
"""
BY_IDS = f"""
SELECT {COLUMNS} FROM contacts WHERE account_id = $1 AND list_id = $2 AND id = ANY($3::uuid[]) ORDER BY id FOR UPDATE
"""
HOLDER = "SELECT id FROM contacts WHERE account_id = $1 AND list_id = $2 AND key_text = $3 AND id <> $4"
ONE = f"SELECT {COLUMNS} FROM contacts WHERE account_id = $1 AND list_id = $2 AND id = $3"
# By id alone, for internal doors: one look-up an account in its primary key.
ANYWHERE = f"""
SELECT c.* FROM accounts a CROSS JOIN LATERAL (SELECT {COLUMNS} FROM contacts c
                                                WHERE c.account_id = a.account_id AND c.id = $1) c LIMIT 1
"""
INSERT = "INSERT INTO contacts SELECT * FROM jsonb_populate_recordset(NULL::contacts, $1::jsonb)"
UPDATE = f"""
UPDATE contacts c SET ({", ".join(_WRITTEN)}) = ROW({", ".join("n." + name for name in _WRITTEN)})
  FROM jsonb_populate_recordset(NULL::contacts, $2::jsonb) n WHERE c.account_id = $1 AND c.id = n.id
"""
DELETE = "DELETE FROM contacts WHERE account_id = $1 AND id = ANY($2::uuid[])"
EMPTY_LIST = "DELETE FROM contacts WHERE account_id = $1 AND list_id = $2 RETURNING id"


def contact_of(row: Any) -> Contact:
    return Contact(
        row["account_id"],
        row["list_id"],
        row["id"],
        row["key_text"],
        {name: row[name] for name in STANDARD_FIELDS},
        json.loads(row["custom"]),
        Consent(row["email_consent"]),
        Consent(row["sms_consent"]),
        AddressKeys(row["email_key"], row["mobile_key"], row["fkey_hash"]),
        row["created_at"],
        row["changed_at"],
        row["version"],
    )


def _row(c: Contact) -> dict[str, object]:
    values = {
        name: value.isoformat() if isinstance(value, date) else value for name, value in c.values.items()
    }
    return {
        **values,
        "account_id": str(c.account_id),
        "list_id": str(c.list_id),
        "id": str(c.id),
        "key_text": c.key_text,
        "custom": dict(c.custom),
        "email_consent": str(c.email_consent),
        "sms_consent": str(c.sms_consent),
        "email_key": _hex(c.keys.email),
        "mobile_key": _hex(c.keys.mobile),
        "fkey_hash": _hex(c.keys.fkey),
        "created_at": c.created_at.isoformat(),
        "changed_at": c.changed_at.isoformat(),
        "version": c.version,
    }


def _hex(key: bytes | None) -> str | None:
    return None if key is None else "\\x" + key.hex()


async def by_keys(tx: Transaction, account_id: UUID, list_id: UUID, keys: Sequence[str]) -> list[Contact]:
    """The contacts of a list that have one of these keys, locked in the order of their ids."""
    return [contact_of(row) for row in await tx.driver.fetch(BY_KEYS, account_id, list_id, list(keys))]


async def by_ids(tx: Transaction, account_id: UUID, list_id: UUID, ids: Sequence[UUID]) -> list[Contact]:
    """The contacts of a list with these ids, locked in the order of their ids."""
    return [contact_of(row) for row in await tx.driver.fetch(BY_IDS, account_id, list_id, list(ids))]


async def holder(tx: Transaction, account_id: UUID, list_id: UUID, key: str, *, but: UUID) -> UUID | None:
    """Whose a key is, if it is another contact's. Takes no lock: the unique index has the last word."""
    found: UUID | None = await tx.driver.fetchval(HOLDER, account_id, list_id, key, but)
    return found


async def one(tx: Transaction, account_id: UUID, list_id: UUID, contact_id: UUID) -> Contact | None:
    row = await tx.driver.fetchrow(ONE, account_id, list_id, contact_id)
    return None if row is None else contact_of(row)


async def anywhere(tx: Transaction, contact_id: UUID) -> Contact | None:
    """A contact of any account: for internal doors, in a platform transaction."""
    row = await tx.driver.fetchrow(ANYWHERE, contact_id)
    return None if row is None else contact_of(row)


async def insert(tx: Transaction, contacts: Sequence[Contact]) -> None:
    """Raises KeyTaken when somebody else has just written a contact with the same key."""
    if contacts:
        try:
            await tx.driver.execute(INSERT, json.dumps([_row(c) for c in contacts]))
        except asyncpg.UniqueViolationError as wrong:
            raise KeyTaken("another contact of the list has this key") from wrong


async def update(tx: Transaction, account_id: UUID, contacts: Sequence[Contact]) -> None:
    """Raises KeyTaken when a changed key belongs to another contact of the list."""
    if contacts:
        try:
            await tx.driver.execute(UPDATE, account_id, json.dumps([_row(c) for c in contacts]))
        except asyncpg.UniqueViolationError as wrong:
            raise KeyTaken("another contact of the list has this key") from wrong


async def delete(tx: Transaction, account_id: UUID, ids: Sequence[UUID]) -> None:
    if ids:
        await tx.driver.execute(DELETE, account_id, list(ids))


async def empty(tx: Transaction, account_id: UUID, list_id: UUID) -> list[UUID]:
    """Deletes every contact of a list and says whose they were."""
    return [row["id"] for row in await tx.driver.fetch(EMPTY_LIST, account_id, list_id, timeout=600)]
