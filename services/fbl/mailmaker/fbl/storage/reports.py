"""fbl.storage.reports: reports as they are read, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from mailmaker.common.storage.transaction import Transaction
from mailmaker.fbl.domain.report import Stored, same_message_id

_COLUMNS = """
r.account_id, r.id, r.sha256, r.kind, r.received_at, r.rcpt, r.message_id, r.feedback_type, r.recipients, r.address,
r.token, r.original_message_id, r.attributed, r.acted, r.suppression_id, r.error
"""
_EVERYBODYS = f"""
SELECT {_COLUMNS} FROM reports r
 WHERE ($1::uuid IS NULL OR r.id < $1) AND ($2::text[] IS NULL OR r.message_id = ANY($2))
   AND ($3::bytea IS NULL OR r.sha256 = $3)
 ORDER BY r.id DESC LIMIT $4
"""
# Row-level security alone would do, but only a plain equality is looked up in the index.
_ONES_OWN = _EVERYBODYS.replace("WHERE", "WHERE r.account_id = $5 AND", 1)
_ONE = f"""
SELECT {_COLUMNS}, w.body FROM reports r LEFT JOIN raws w ON w.account_id = r.account_id AND w.sha256 = r.sha256
 WHERE r.id = $1
"""


async def page(
    tx: Transaction,
    *,
    before: UUID | None,
    message_id: str | None,
    sha256: bytes | None,
    limit: int,
    everybodys: bool = False,
) -> list[Stored]:
    """Up to `limit` reports of this transaction's account (or of all), newest first, older than `before`."""
    ids = None if message_id is None else list(same_message_id(message_id))
    asked = (before, ids, sha256, limit)
    rows = await (
        tx.driver.fetch(_EVERYBODYS, *asked)
        if everybodys
        else tx.driver.fetch(_ONES_OWN, *asked, tx.account_id)
    )
    return [_stored(row) for row in rows]


async def one(tx: Transaction, report_id: UUID) -> tuple[Stored, bytes] | None:
    """A report with its raw mail, if this transaction may see it."""
    row = await tx.driver.fetchrow(_ONE, report_id)
    return None if row is None else (_stored(row), bytes(row["body"] or b""))


def _stored(row: Mapping[str, Any]) -> Stored:
    return Stored(
        account_id=row["account_id"],
        id=row["id"],
        sha256=bytes(row["sha256"]),
        kind=row["kind"],
        received_at=row["received_at"],
        rcpt=row["rcpt"],
        message_id=row["message_id"],
        feedback_type=row["feedback_type"],
        recipients=tuple(row["recipients"]),
        address=row["address"],
        token=row["token"],
        original_message_id=row["original_message_id"],
        attributed=row["attributed"],
        acted=row["acted"],
        suppression_id=row["suppression_id"],
        error=row["error"],
    )
