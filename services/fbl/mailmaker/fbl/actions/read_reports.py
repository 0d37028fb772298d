"""fbl.actions.read_reports: an account sees what is attributed to it; the operator sees everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.storage.transaction import Transaction
from mailmaker.common.web.call import Call
from mailmaker.fbl.domain.report import Stored
from mailmaker.fbl.errors import ReportNotFound
from mailmaker.fbl.storage import reports


async def list_reports(
    db: Database, call: Call, *, before: UUID | None, message_id: str | None, sha256: bytes | None, limit: int
) -> list[Stored]:
    """Newest first."""
    async with _seen_by(db, call) as tx:
        return await reports.page(
            tx, before=before, message_id=message_id, sha256=sha256, limit=limit, everybodys=call.operator
        )


async def one_report(db: Database, call: Call, report_id: UUID) -> tuple[Stored, bytes]:
    """A report and its raw mail. Raises ReportNotFound."""
    async with _seen_by(db, call) as tx:
        found = await reports.one(tx, report_id)
    if found is None:
        raise ReportNotFound("there is no such report")
    return found


@asynccontextmanager
async def _seen_by(db: Database, call: Call) -> AsyncIterator[Transaction]:
    if call.operator:
        async with db.platform() as tx:
            yield tx
    else:
        async with db.account(call.account_id) as tx:
            yield tx
