"""suppression.actions.read_ledger: what may be seen: entries, one with its evidence, an account's feed, the journals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailmaker.common.storage.engine import Database
from mailmaker.common.web.call import Call
from mailmaker.suppression.domain.entry import Entry, OwnLine, Said
from mailmaker.suppression.errors import NoSuchJournal, NoSuchSuppression
from mailmaker.suppression.storage import entries, feed, journals
from mailmaker.suppression.storage.journals import Vouching


@dataclass(frozen=True, slots=True)
class Full:
    """One entry with all that is known of how it came."""

    entry: Entry
    evidence: dict[str, str]
    repetitions: list[Said]


async def newest(
    db: Database,
    call: Call,
    subjects: Sequence[bytes] | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Entry]:
    """The account's entries, newest first; a key limited to some lists sees those alone."""
    async with db.account(call.account_id) as tx:
        lists = None if call.list_ids is None else list(call.list_ids)
        return await entries.newest(tx, subjects, lists, before, limit)


async def one(db: Database, call: Call, id: UUID) -> Full:
    """One entry. Raises NoSuchSuppression."""
    async with db.account(call.account_id) as tx:
        entry = (await entries.by_ids(tx, [id])).get(id)
        if entry is None or (call.list_ids is not None and entry.list_id not in call.list_ids):
            raise NoSuchSuppression("the account has no such suppression")
        return Full(entry, await entries.evidence(tx, id), await entries.repetitions(tx, id))


async def own_feed(db: Database, call: Call, after: int, limit: int) -> tuple[list[OwnLine], int]:
    """The account's feed after one of its own numbers, and its newest number."""
    async with db.account(call.account_id) as tx:
        return await feed.of_account(tx, after, limit)


async def vouching(db: Database) -> list[Vouching]:
    """Every journal the feed waits for."""
    async with db.platform() as tx:
        return await journals.everyone(tx)


async def declare_lost(db: Database, call: Call, id: UUID) -> None:
    """An operator says that a journal's disk is gone: the feed no longer waits for it. Raises NoSuchJournal."""
    async with db.write(call, "journal.declared_lost") as tx:
        tx.subject(id)
        if not await journals.leave(tx, id):
            raise NoSuchJournal("no journal has this id")
