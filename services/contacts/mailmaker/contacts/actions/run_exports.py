"""contacts.actions.run_exports: the worker that writes exports: one snapshot, one transaction, a whole file or none."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from mailmaker.common.contracts import archives
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import StorageUnavailable, Transaction
from mailmaker.common.web.internal import Unreachable
from mailmaker.common.web.problem import Problem
from mailmaker.contacts.actions.exports import CLOSED
from mailmaker.contacts.actions.gather_account import AWAY, LONGEST_WAIT, gather_account
from mailmaker.contacts.actions.gather_account import PAUSES as AWAY_PAUSES
from mailmaker.contacts.actions.house import Contacts
from mailmaker.contacts.actions.segments import kept_rule
from mailmaker.contacts.actions.waiting import work_off
from mailmaker.contacts.domain.exports import MOST_ROWS_XLSX, Export, columns_of, whom
from mailmaker.contacts.domain.lists import ContactList
from mailmaker.contacts.domain.segments import Rule, day_of
from mailmaker.contacts.storage import archive, export_rows, exports, lists, segments
from mailmaker.contacts.storage.archive import Archive
from mailmaker.contacts.storage.sheets import Sheet, TooLarge, sheet

LOOK_EVERY = 2.0
TELL_EVERY = 0.5
MOST_ATTEMPTS = 5
PAUSES = (0.5, 2.0)
CHUNK = 256 * 1024
FAILED = ("export.failed", "the file could not be made; this is our fault")


class Refused(Exception):
    """The file cannot be made, however often it is tried."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.error = (code, detail)


class Overtaken(Exception):
    """Meanwhile somebody was erased, or the export was removed: what was read is not given out."""


@dataclass
class _File:
    """The file under way: its pieces go into the transaction that reads the rows."""

    tx: Transaction
    of: Export
    made: Sheet | Archive
    rows: int = 0
    size: int = 0
    places: int = 0
    told: float = 0.0
    waiting: bytearray = field(default_factory=bytearray)

    async def add(self, piece: bytes, *, last: bool = False) -> None:
        self.waiting += piece
        while len(self.waiting) >= CHUNK or (last and self.waiting):
            data = bytes(self.waiting[:CHUNK])
            del self.waiting[:CHUNK]
            await exports.add_chunk(self.tx, self.of, self.places, data)
            self.places, self.size = self.places + 1, self.size + len(data)


class RunExports:
    """A worker; a few may run at once, in any number of processes. A lock of the transaction that reads says whose an
    export is: when its process dies, nothing of the file is there, and another begins it again."""

    def __init__(self, house: Contacts, number: int = 1, *, most_rows: int = MOST_ROWS_XLSX) -> None:
        self.name = f"run_exports_{number}"
        self._house = house
        self._most_rows = most_rows

    async def run(self, stop: asyncio.Event) -> None:
        await work_off("exports", self.step, stop, self._house.export_waits, LOOK_EVERY)

    async def step(self) -> bool:
        """Works on the first export that waits and that nobody else has. False when there is none."""
        async with self._house.db.platform() as tx:
            waiting = await exports.due(tx)
        for account_id, export_id in waiting:
            if await self._one(account_id, export_id):
                return True
        return False

    async def _one(self, account_id: UUID, export_id: UUID) -> bool:
        log = logger("contacts.actions")
        try:
            async with self._house.db.account(account_id) as tx:
                if not await exports.take(tx, export_id):
                    return False
                it = await self._begin(account_id, export_id)
                if it is None:
                    return False
                await self._write(tx, it)
            return True
        except Overtaken:
            await self._later(account_id, export_id, counted=False)
        except StorageUnavailable as wrong:
            log.info("export waits", export_id=str(export_id), reason=str(wrong))
            await self._later(account_id, export_id, counted=False)
        except Unreachable as wrong:
            log.info("export waits for another house", export_id=str(export_id), reason=str(wrong))
            await self._away(account_id, export_id)
        except Exception as wrong:
            # Where it fell, but not what it said: PostgreSQL repeats the offending row in its messages.
            where = traceback.extract_tb(wrong.__traceback__)[-1]
            log.warning(
                "export fell",
                export_id=str(export_id),
                error=type(wrong).__name__,
                where=f"{where.name}:{where.lineno}",
            )
            await self._later(account_id, export_id, counted=True)
        return True

    async def _begin(self, account_id: UUID, export_id: UUID) -> Export | None:
        """On a connection of its own, so that an attempt counts also when its process dies in it."""
        async with self._house.db.account(account_id) as other:
            it = await exports.begin(other, account_id, export_id)
            if it is not None and it.attempts > MOST_ATTEMPTS:
                await exports.fail(other, it, FAILED)
                return None
        return it

    async def _write(self, tx: Transaction, it: Export) -> None:
        try:
            if it.list_id is None:
                file = await self._account(tx, it)
            else:
                file = await self._list(tx, it)
        except TooLarge:
            await exports.fail(
                tx, it, ("export.too_large", "the sheet would be larger than spreadsheets open; ask for CSV")
            )
            return
        except Refused as wrong:
            await exports.fail(tx, it, wrong.error)
            return
        now = self._house.clock.now()
        if not await exports.ready(tx, it, file.rows, file.size, now, now + self._house.export_kept):
            raise Overtaken

    async def _list(self, tx: Transaction, it: Export) -> _File:
        of, rule = await self._whom(tx, it)
        day = day_of(self._house.clock.now(), of.timezone)
        columns = columns_of(it.wish, of)
        most = self._most_rows if it.wish.format == "xlsx" else None
        total = await export_rows.how_many(tx, it.account_id, of.id, rule, day)
        _check(total, most)
        file = _File(tx, it, sheet(it.wish.format, columns))
        async for rows in export_rows.batches(tx, it.account_id, of.id, columns, rule, day):
            _check(file.rows + len(rows), most)
            await self._batch(file, rows, total)
        await file.add(await asyncio.to_thread(file.made.end), last=True)
        return file

    async def _account(self, tx: Transaction, it: Export) -> _File:
        elsewhere = self._house.archives
        names = [*archive.PARTS, *(name for house in elsewhere for name in archives.PARTS[house])]
        made = Archive(names)
        file = _File(tx, it, made)
        try:
            async for rows in archive.everything(tx, it.account_id):
                await self._batch(file, rows, 0)
            for house in elsewhere.values():
                async for rows in gather_account(tx, house, it.account_id):
                    await self._batch(file, rows, 0)
        except BaseException:
            made.give_up()
            raise
        await file.add(await asyncio.to_thread(made.end), last=True)
        return file

    async def _batch(self, file: _File, rows: Sequence[Any], total: int) -> None:
        file.rows += len(rows)
        await file.add(await asyncio.to_thread(file.made.add, rows))
        if time.monotonic() - file.told > TELL_EVERY:
            async with self._house.db.account(file.of.account_id) as other:
                await exports.progress(other, file.of, file.rows, total)
            file.told = time.monotonic()

    async def _whom(self, tx: Transaction, it: Export) -> tuple[ContactList, Rule]:
        of = None if it.list_id is None else await lists.one(tx, it.account_id, it.list_id)
        if of is None or of.closed:
            raise Refused(*CLOSED)
        if it.wish.segment is None:
            return of, whom(it.wish, None)
        segment = await segments.of_version(tx, it.account_id, it.wish.segment, it.wish.segment_version)
        if segment is None:
            raise Refused("segment.unknown", "the segment is not there any more")
        try:
            return of, whom(it.wish, kept_rule(segment, of))
        except Problem as wrong:
            raise Refused(wrong.code, wrong.detail) from wrong

    async def _away(self, account_id: UUID, export_id: UUID) -> None:
        """Another house does not answer: again in a while, but not for ever."""
        async with self._house.db.account(account_id) as tx:
            it = await exports.one(tx, account_id, None, export_id)
            if it is not None and self._house.clock.now() - it.created_at > LONGEST_WAIT:
                await exports.fail(tx, it, AWAY)
            else:
                await exports.again(tx, account_id, export_id, random.uniform(*AWAY_PAUSES), counted=False)

    async def _later(self, account_id: UUID, export_id: UUID, *, counted: bool) -> None:
        async with self._house.db.account(account_id) as tx:
            await exports.again(tx, account_id, export_id, random.uniform(*PAUSES), counted=counted)


def _check(rows: int, most: int | None) -> None:
    if most is not None and rows > most:
        detail = f"a sheet holds {most} contacts and this export more; ask for CSV, or for a segment"
        raise Refused("export.too_many_rows", detail)
