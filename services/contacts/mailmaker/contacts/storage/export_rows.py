"""contacts.storage.export_rows: the contacts that an export names, out of one statement's snapshot, a batch at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.domain.exports import CellKind, Column
from mailmaker.contacts.domain.segments import Day, Rule
from mailmaker.contacts.storage.audience import ROOM
from mailmaker.contacts.storage.segment_sql import Compiled, compiled

AT_ONCE = 2_000
PATIENCE = 600.0
"""Seconds until the first rows: a rule may have to be asked of the whole list."""
_FROM = "FROM contacts c {joins} WHERE c.account_id = $1 AND c.list_id = $2 AND {where}"
_MOMENT = "to_char(c.{name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"


def _cell(column: Column, place: int) -> str:
    """The text of a cell; a custom value that is of another type than its field has now is none."""
    if column.key is None:
        return _MOMENT.format(name=column.name) if column.name.endswith("_at") else f"c.{column.name}::text"
    key = f"${place}::text"
    if column.kind is CellKind.NUMBER:
        return f"CASE WHEN jsonb_typeof(c.custom -> {key}) = 'number' THEN c.custom ->> {key} END"
    if column.kind is CellKind.BOOLEAN:
        return f"CASE WHEN jsonb_typeof(c.custom -> {key}) = 'boolean' THEN c.custom ->> {key} END"
    return f"CASE WHEN jsonb_typeof(c.custom -> {key}) = 'string' THEN c.custom ->> {key} END"


async def how_many(tx: Transaction, account_id: UUID, list_id: UUID, rule: Rule, day: Day) -> int:
    """How many contacts the export will name, if the list stays as it is."""
    found = compiled(rule, day, 3)
    await tx.driver.execute(ROOM)
    text = f"SELECT count(*) AS many {_of(found)}"
    rows = await tx.driver.fetch(text, account_id, list_id, *found.values, timeout=PATIENCE)
    return int(rows[0]["many"])


async def batches(
    tx: Transaction, account_id: UUID, list_id: UUID, columns: Sequence[Column], rule: Rule, day: Day
) -> AsyncIterator[list[Any]]:
    """Rows of texts in the columns' order. A cursor: the server holds the snapshot, and we one batch."""
    own = [column for column in columns if column.key is not None]
    places = {column.name: 3 + at for at, column in enumerate(own)}
    found = compiled(rule, day, 3 + len(own))
    cells = ", ".join(_cell(column, places.get(column.name, 0)) for column in columns)
    values = (account_id, list_id, *(column.key for column in own), *found.values)
    cursor = await tx.driver.cursor(f"SELECT {cells} {_of(found)}", *values, timeout=PATIENCE)
    while rows := await cursor.fetch(AT_ONCE, timeout=PATIENCE):
        yield rows


def _of(found: Compiled) -> str:
    return _FROM.format(joins=found.joins, where=found.where)
