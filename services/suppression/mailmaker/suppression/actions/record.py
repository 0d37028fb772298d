"""suppression.actions.record: puts "no"s of one account in the ledger, in force, on the feed and on the bus: one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.contracts.suppressions import AddressReleased, AddressSuppressed
from mailmaker.common.storage.transaction import Transaction
from mailmaker.suppression.domain.decide import New, Repeat, decide
from mailmaker.suppression.domain.entry import Entry
from mailmaker.suppression.domain.no import No
from mailmaker.suppression.storage import completing, feed, ledger
from mailmaker.suppression.storage.feed import Line


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a "no" is in the ledger. `made`: the entry it has just made; None when an earlier one said it before."""

    entry: UUID
    made: Entry | None = None
    again: bool = False
    """The first answer to an Idempotency-Key, given again: the entry was made by that first call."""

    @property
    def repeated(self) -> bool:
        return self.made is None and not self.again


async def record(tx: Transaction, nos: Sequence[No]) -> list[Outcome]:
    """Records them in the caller's transaction, one outcome each, in order. Nothing may be written after but the outbox."""
    outcomes, lines = await write_down(tx, nos)
    await publish(tx, lines)
    return outcomes


async def write_down(tx: Transaction, nos: Sequence[No]) -> tuple[list[Outcome], list[Line]]:
    """Ledger and state. The lines are for `publish`, which must end the same transaction."""
    subjects = [subject for no in nos for subject in no.subjects]
    await ledger.lock_subjects(tx, subjects)
    in_force, heard = await ledger.standing(tx, subjects, [no.id for no in nos])
    decisions = decide(nos, in_force, heard)
    new = [d for d in decisions if isinstance(d, New)]
    repeats = [d for d in decisions if isinstance(d, Repeat) and not d.again]
    recorded_at = await ledger.append(tx, new) if new else {}
    repeated_at = await ledger.repeat(tx, repeats) if repeats else {}
    asked = [(r.first, r.no.contact_id) for r in repeats if r.no.incomplete and r.no.contact_id is not None]
    if asked:
        await completing.ask_again(tx, asked)
    lines = [_line(d.no, d.no.id, d.no.subjects, recorded_at[d.no.id]) for d in new]
    more = [r for r in repeats if r.missing]
    waiting = await completing.waiting(tx, [r.first for r in more]) if more else set()
    for again in more:
        await ledger.join(tx, again.first, again.missing, again.no.list_id)
        later = again.first not in waiting
        lines.append(_line(again.no, again.first, again.missing, repeated_at[again.no.id], later=later))
    outcomes = [
        Outcome(d.no.id, _made(d.no, recorded_at[d.no.id])) if isinstance(d, New) else Outcome(d.first)
        for d in decisions
    ]
    return outcomes, lines


async def publish(tx: Transaction, lines: Sequence[Line]) -> None:
    """Numbers the lines and stages their events: the end of every transaction that changes what is in force."""
    for number, line in zip(await feed.number(tx, lines), lines, strict=True):
        for subject in line.subjects:
            tx.stage(_event(tx.account_id, number, line, subject))


def _made(no: No, at: datetime) -> Entry:
    return Entry(
        id=no.id,
        channel=no.channel,
        scope=no.scope,
        list_id=no.list_id,
        contact_id=no.contact_id,
        door=no.door,
        reason=no.reason,
        received_at=no.received_at,
        recorded_at=at,
    )


def _line(no: No, entry: UUID, subjects: tuple[bytes, ...], at: datetime, *, later: bool = False) -> Line:
    return Line(
        entry,
        no.channel,
        no.scope,
        None if no.scope == "account" else no.list_id,
        subjects,
        no.contact_id,
        no.reason,
        no.door,
        no.received_at,
        at,
        later=later,
    )


def _event(account_id: UUID, number: int, line: Line, subject: bytes) -> AddressSuppressed | AddressReleased:
    if line.released:
        return AddressReleased(
            account_id=account_id,
            occurred_at=line.recorded_at,
            suppression_id=line.suppression_id,
            channel=line.channel,
            scope=line.scope,
            list_id=line.list_id,
            subject=subject.hex(),
            version=number,
        )
    return AddressSuppressed(
        account_id=account_id,
        occurred_at=line.recorded_at,
        suppression_id=line.suppression_id,
        channel=line.channel,
        scope=line.scope,
        list_id=line.list_id,
        subject=subject.hex(),
        version=number,
        reason=line.reason,
        door=line.door,
        recorded_at=line.recorded_at,
    )
