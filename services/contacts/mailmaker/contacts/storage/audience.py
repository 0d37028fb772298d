"""contacts.storage.audience: the contacts of some lists as one stream of CSV, straight out of PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from mailmaker.common.storage.bulk import copy_out
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.lists import FIELD_NAME, STANDARD_FIELDS
from mailmaker.contacts.domain.segments import Day, Rule
from mailmaker.contacts.storage.segment_sql import Compiled, compiled

_CHANNELS = {"email": ("email", "email_key", "email_consent"), "sms": ("mobile", "mobile_key", "sms_consent")}

# A rule may join a row for each contact with what else is known of it.
ROOM = "SET LOCAL work_mem = '64MB'"


@dataclass(frozen=True, slots=True)
class Narrowed:
    """One list, and whom of it a segment's rule means on a day."""

    list_id: UUID
    rule: Rule
    day: Day


def _key(key: str | None) -> str:
    return "NULL::text" if key is None else f"{_literal(key)}::text"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


NARROWED = "AND c.account_id = $1::uuid AND c.list_id = $2::uuid AND {where}"
Keys = Sequence[Mapping[str, str]]
"""For each list, the id that each of its custom fields' names stands for."""


def query(
    account_id: UUID,
    channel: str,
    lists: Sequence[UUID],
    fields: Sequence[str],
    keys: Keys,
    found: Compiled | None,
) -> str:
    """One statement, so one snapshot. What stands in its text are UUIDs, checked names and fields' ids; a rule's values are
    bound (COPY takes no parameters: the driver has PostgreSQL quote them)."""
    address, key, consent = _CHANNELS[channel]
    merge = ["'fkey', c.fkey"] if "fkey" in fields else []
    merge += [f"{_literal(name)}, c.{name}" for name in fields if name in STANDARD_FIELDS and name != "fkey"]
    own = [name for name in fields if name not in STANDARD_FIELDS and FIELD_NAME.match(name)]
    merge += [f"{_literal(name)}, c.custom -> l.k{place}" for place, name in enumerate(own)]
    values = f"json_strip_nulls(json_build_object({', '.join(merge)}))" if merge else "'{}'"
    # The same name may stand for different fields in two lists, and for none in a third.
    positions = ", ".join(
        "(" + ", ".join([str(place), f"'{list_id}'::uuid", *(_key(of.get(name)) for name in own)]) + ")"
        for place, (list_id, of) in enumerate(zip(lists, keys, strict=True))
    )
    columns = ", ".join(["place", "list_id", *(f"k{place}" for place in range(len(own)))])
    joins, where = ("", "") if found is None else (found.joins, NARROWED.format(where=found.where))
    return f"""
SELECT l.place, c.list_id, c.id, c.fkey, c.{address}, c.{key}, c.{consent}, {values}
  FROM (VALUES {positions}) AS l ({columns})
  JOIN contacts c ON c.account_id = '{account_id}'::uuid AND c.list_id = l.list_id {joins}
 WHERE c.{address} IS NOT NULL {where}
"""


async def stream(
    tx: Transaction,
    account_id: UUID,
    channel: str,
    lists: Sequence[UUID],
    fields: Sequence[str],
    keys: Keys,
    rule: Narrowed | None = None,
) -> AsyncIterator[bytes]:
    """`list_position,list_id,contact_id,fkey,address,address_key,consent,merge` a line."""
    found = None if rule is None else compiled(rule.rule, rule.day, 3)
    values: tuple[object, ...] = ()
    if rule is not None and found is not None:
        values = (account_id, rule.list_id, *found.values)
        await tx.driver.execute(ROOM)
    text = query(account_id, channel, lists, fields, keys, found)
    async for chunk in copy_out(tx.driver, text, *values):
        yield chunk
