"""dispatch.storage: this house's copy of what contacts says about lists. The higher version is the newer word."""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record
from mailmaker.common.storage.transaction import Transaction
from mailmaker.dispatch.domain.sending import MailList

_SAVE = """
INSERT INTO lists (account_id, list_id, name, key_kind, caps, timezone, controller, closed, version)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7::jsonb, $8, $9)
ON CONFLICT (account_id, list_id) DO UPDATE SET
    name = excluded.name, key_kind = excluded.key_kind, caps = excluded.caps, timezone = excluded.timezone,
    controller = excluded.controller, closed = excluded.closed, version = excluded.version
 WHERE lists.version < excluded.version
"""
_SOME = """
SELECT account_id, list_id, name, key_kind, caps, timezone, controller, closed, version
  FROM lists WHERE account_id = $1 AND list_id = ANY($2)
"""


async def save(tx: Transaction, known: MailList) -> None:
    """Writes a list unless a newer word about it is here already."""
    await tx.driver.execute(
        _SAVE,
        known.account_id,
        known.list_id,
        known.name,
        known.key_kind,
        json.dumps(known.caps),
        known.timezone,
        json.dumps(known.controller),
        known.closed,
        known.version,
    )


async def some(tx: Transaction, account_id: UUID, list_ids: Sequence[UUID]) -> dict[UUID, MailList]:
    """Those of the lists that this house knows."""
    rows = await tx.driver.fetch(_SOME, account_id, list(list_ids))
    return {row["list_id"]: _list(row) for row in rows}


def _list(row: Record) -> MailList:
    return MailList(
        account_id=row["account_id"],
        list_id=row["list_id"],
        name=row["name"],
        key_kind=row["key_kind"],
        caps=row["caps"],
        timezone=row["timezone"],
        controller=row["controller"],
        closed=row["closed"],
        version=row["version"],
    )
