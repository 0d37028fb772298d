"""contacts.actions.read_by_line: of a file that was told by its lines, has ingest read those that the list does not hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from uuid import UUID

from mailmaker.common.contracts.lines import LinesRead, LinesWanted
from mailmaker.common.storage.engine import Transaction
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.domain.plans import Plan, Unmatched, worth_picking
from mailmaker.contacts.storage import by_line, planning

READ_WAIT, LINES_A_SECOND = 30.0, 10_000
"""So long, and a second for so many lines of the file, ingest may take to read: forty times what it does."""


@dataclass(frozen=True, slots=True)
class Found:
    """A plan whose file is read as far as it need be, the rows that the list does not hold, and how many rows came:
    those that it holds as they are among them."""

    plan: Plan
    unmatched: Unmatched
    received: int


class NotRead(Exception):
    """ingest could not read the file: a stable code, and what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


async def find(house: Contacts, tx: Transaction, plan: Plan, lines: int) -> Found:
    """Looks which of so many lines the list does not hold. Raises NotRead; Unreachable where ingest does not answer."""
    loose = await by_line.loose(tx, plan)
    found = await _picked(house, tx, plan, loose, lines) if worth_picking(loose, lines) else None
    if found is not None:
        return found
    answer = await _read(house, tx, plan, None, lines)
    received = await _outline(house, tx, plan)
    # Of records that cross line ends there are fewer than lines.
    read = _with(plan, answer, answer.rows)
    return Found(read, await planning.match(tx, read), received)


async def _picked(house: Contacts, tx: Transaction, plan: Plan, loose: int, lines: int) -> Found | None:
    """Has the lines read that the list does not hold. None where only the whole file tells what it says."""
    answer = await _read(house, tx, plan, await by_line.wanted(tx), lines) if loose else LinesRead()
    if answer.joined:
        return None
    received = await _outline(house, tx, plan) if loose else 0
    held = lines - loose
    unmatched = await by_line.match(tx, plan, held)
    if loose and await by_line.doubled(tx, plan):
        await by_line.again(tx)
        return None
    return Found(_with(plan, answer, lines), unmatched, received + held)


async def _read(
    house: Contacts, tx: Transaction, plan: Plan, lines: Sequence[int] | None, of: int
) -> LinesRead:
    wish = LinesWanted(lines=None if lines is None else tuple(lines))
    path, wait = f"/internal/imports/{plan.import_id}/read", READ_WAIT + of / LINES_A_SECOND
    async with by_line.waiting(tx, wait):
        answer = LinesRead.model_validate_json(await house.ingest.post(path, wish, timeout=wait))
    if answer.error_code is not None:
        raise NotRead(answer.error_code, answer.error_detail or "")
    return answer


def _with(plan: Plan, answer: LinesRead, rows: int) -> Plan:
    """What the reading has shown of a file of so many rows."""
    options = replace(
        plan.options,
        rows=rows,
        staged=answer.staged,
        rejected=answer.rejected,
        duplicate=answer.duplicate,
        named=answer.named,
    )
    return replace(plan, options=options)


async def _outline(house: Contacts, tx: Transaction, plan: Plan) -> int:
    async with pulled(house, plan.account_id, plan.import_id, "outline", form="binary") as source:
        return await planning.receive_outline(tx, source)


def pulled(
    house: Contacts, account_id: UUID, import_id: UUID, what: str, content: bytes | None = None, **asked: str
) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
    """What ingest has made of a file."""
    path = f"/internal/imports/{import_id}/{what}"
    return house.ingest.stream(path, {"account": str(account_id), **asked}, content=content)
