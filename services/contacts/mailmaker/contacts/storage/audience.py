"""contacts.storage.audience: the contacts of some lists as one stream of CSV, straight out of PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from mailmaker.common.storage.bulk import copy_out
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.lists import FIELD_NAME, STANDARD_FIELDS

_CHANNELS = {"email": ("email", "email_key", "email_consent"), "sms": ("mobile", "mobile_key", "sms_consent")}


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def query(account_id: UUID, channel: str, lists: Sequence[UUID], fields: Sequence[str]) -> str:
    """One statement, so one snapshot. COPY takes no parameters: every value here is a UUID or a checked name."""
    address, key, consent = _CHANNELS[channel]
    merge = ["'fkey', c.fkey"] if "fkey" in fields else []
    merge += [f"{_literal(name)}, c.{name}" for name in fields if name in STANDARD_FIELDS and name != "fkey"]
    merge += [
        f"{_literal(name)}, c.custom -> {_literal(name)}"
        for name in fields
        if name not in STANDARD_FIELDS and FIELD_NAME.match(name)
    ]
    values = f"json_strip_nulls(json_build_object({', '.join(merge)}))" if merge else "'{}'"
    positions = ", ".join(f"({place}, '{list_id}'::uuid)" for place, list_id in enumerate(lists))
    return f"""
SELECT l.place, c.list_id, c.id, c.fkey, c.{address}, c.{key}, c.{consent}, {values}
  FROM (VALUES {positions}) AS l (place, list_id)
  JOIN contacts c ON c.account_id = '{account_id}'::uuid AND c.list_id = l.list_id
 WHERE c.{address} IS NOT NULL
"""


def stream(
    tx: Transaction, account_id: UUID, channel: str, lists: Sequence[UUID], fields: Sequence[str]
) -> AsyncIterator[bytes]:
    """`list_position,list_id,contact_id,fkey,address,address_key,consent,merge` a line."""
    return copy_out(tx.driver, query(account_id, channel, lists, fields))
