"""suppression.actions.keep_journal: replays journals into the ledger and vouches for them, each second."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from uuid import UUID

from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.common.web.internal import Refused, Unreachable
from mailmaker.common.web.keyring import KeyRing
from mailmaker.suppression.actions.bell import Bell, until
from mailmaker.suppression.actions.record import record
from mailmaker.suppression.domain.journaled import Journaled, Unreadable
from mailmaker.suppression.domain.no import No
from mailmaker.suppression.storage import journals
from mailmaker.suppression.storage.journal import Journal
from mailmaker.suppression.storage.journal_file import FRESH, READY, JournalFile

EVERY = 1.0
TOGETHER = 200
TIMEOUT = 10.0


class KeepJournal:
    """A resource that keeps itself running, also in a process without workers: who may promise must keep its promises.

    Open: registers the journal if PostgreSQL answers. Closed: takes its row out if it is empty.
    """

    def __init__(self, db: Database, journal: Journal, keyring: KeyRing, bell: Bell) -> None:
        self._db = db
        self._journal = journal
        self._keyring = keyring
        self._bell = bell
        self._stop = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._journal.open()
        # If it fails the worker goes on trying; until it succeeds nothing is journaled by a new file.
        with contextlib.suppress(StorageUnavailable, Unreachable, OSError):
            await self.round()
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """A clean end: nothing is left to vouch for. With PostgreSQL away the row stays, and the file with it."""
        self._stop.set()
        if self._keeping is not None:
            await asyncio.wait([self._keeping], timeout=TIMEOUT)
            self._keeping.cancel()
        try:
            async with asyncio.timeout(TIMEOUT):
                if self._journal.is_empty and self._journal.file.registered:
                    await self._retire(self._journal.file)
        except (StorageUnavailable, OSError):
            pass
        finally:
            await self._journal.close()

    async def _keep(self) -> None:
        log = logger("suppression.actions")
        while not await until(self._stop, EVERY):
            try:
                await self.round()
            except (StorageUnavailable, Unreachable, OSError) as wrong:
                log.info("journal not kept", reason=str(wrong))
            except Exception as wrong:
                log.error("journal not kept", error=type(wrong).__name__, exc_info=wrong)

    async def round(self) -> None:
        """One look: replay ours, take over those of the dead, then vouch. Raises when a house or disk does not answer."""
        async with asyncio.timeout(TIMEOUT):
            await self._vouch()
        if not self._journal.is_empty:
            await self._replay_own()
            async with asyncio.timeout(TIMEOUT):
                await self._vouch()
        for orphan in self._journal.orphans():
            try:
                await self._bury(orphan)
            finally:
                orphan.close()

    async def _vouch(self) -> None:
        file = self._journal.file
        async with self._db.platform() as tx:
            # The clock is read before the journal is looked at: what was promised until then has its number.
            at = await journals.clock(tx)
            if file.registered and not self._journal.is_empty:
                return
            await journals.touch(tx, file.id, socket.gethostname(), os.getpid(), at)
        if not file.registered:
            await asyncio.to_thread(file.rename, READY)

    async def _replay_own(self) -> None:
        while True:
            file = self._journal.file
            size = file.size
            await self._replay(await asyncio.to_thread(file.lines))
            if await self._journal.emptied(size):
                return

    async def _bury(self, orphan: JournalFile) -> None:
        """The journal of a dead process: its promises first, then its row, then the file."""
        if orphan.registered:
            await self._replay(await asyncio.to_thread(orphan.lines))
        await self._retire(orphan)

    async def _retire(self, file: JournalFile) -> None:
        # Under its first name the file says "nothing was ever promised here": a crash between these steps is harmless.
        if file.registered:
            await asyncio.to_thread(file.rename, FRESH)
        async with self._db.platform() as tx:
            await journals.leave(tx, file.id)
        await asyncio.to_thread(file.remove)

    async def _replay(self, lines: list[bytes]) -> None:
        by_account: dict[UUID, list[No]] = {}
        rejected: list[bytes] = []
        for line in lines:
            try:
                said = Journaled.decode(line)
                account = await self._account(said)
            except Unreadable:
                rejected.append(line)
                continue
            if account is None:
                rejected.append(line)
            else:
                by_account.setdefault(account, []).append(said.no(account))
        for account_id, nos in sorted(by_account.items()):
            for start in range(0, len(nos), TOGETHER):
                async with asyncio.timeout(TIMEOUT), self._db.account(account_id) as tx:
                    await record(tx, nos[start : start + TOGETHER])
                self._bell.ring_feed()
                self._bell.ring_incomplete()
        if rejected:
            await asyncio.to_thread(self._journal.reject, rejected)

    async def _account(self, said: Journaled) -> UUID | None:
        try:
            row = await self._keyring.account_by_number(said.token.account_number)
        except Refused as wrong:
            raise Unreachable("contacts does not name the account") from wrong
        return None if row is None else row.account_id
