"""ingest.actions.deliver: makes an import of a file that was taken from an inbox, by the way of POST /v1/imports."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from mailmaker.common.storage.engine import Database, Transaction
from mailmaker.common.web.call import Call
from mailmaker.common.web.keyring import KeyRing
from mailmaker.common.web.problem import Problem
from mailmaker.ingest.actions.pgp import PgpKeys
from mailmaker.ingest.actions.profiles import options_for
from mailmaker.ingest.actions.receive import Arrival, Receiver
from mailmaker.ingest.domain.drops import Drop, Taken, TakenState, rule_for
from mailmaker.ingest.domain.profiles import BY_NAME
from mailmaker.ingest.errors import AlreadyTaken, BadFile, BadOptions
from mailmaker.ingest.readers.pgp import is_encrypted
from mailmaker.ingest.storage import drop_files, inbox_taking
from mailmaker.ingest.storage.files import Files, read
from mailmaker.ingest.storage.inboxes import Inbox


class NotNow(Exception):
    """Something we stand on does not answer: the file waits, and is tried again."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Deliverer:
    """From a taken file to an import, or to the reason why there is none."""

    def __init__(
        self,
        db: Database,
        files: Files,
        receiver: Receiver,
        keyring: KeyRing,
        keys: PgpKeys,
        max_upload: int,
    ) -> None:
        self._db = db
        self._files = files
        self._receiver = receiver
        self._keyring = keyring
        self._keys = keys
        self._max_upload = max_upload

    async def deliver(self, drop: Drop, inbox: Inbox, taken: Taken) -> Taken:
        """The file with its import, or rejected. Raises NotNow."""
        try:
            import_id = await self._import(drop, inbox, taken)
        except AlreadyTaken as wrong:
            raise NotNow("decided") from wrong
        except Problem as wrong:
            if wrong.temporary:
                raise NotNow(wrong.code) from wrong
            return await self._reject(taken, wrong)
        return replace(taken, state=TakenState.RECEIVED, import_id=import_id)

    async def _import(self, drop: Drop, inbox: Inbox, taken: Taken) -> UUID:
        rule = rule_for(drop, taken.name)
        if rule is None:
            raise BadFile("no pattern of this drop matches the name of the file", code="drop.no_rule")
        if rule.override is not None:
            # A rule of a release that kept such options.
            detail = f"this drop may not take opt-outs back; change its options, without `{rule.override}`, or send the"
            raise BadFile(f"{detail} file by POST /v1/imports", code="drop.override")
        account = await self._keyring.account(drop.account_id)
        if account is None:
            raise NotNow("account.unknown")
        call = Call(drop.account_id, account.number, drop.id, str(taken.id))
        asked = {**rule.asked, "profile": BY_NAME} if rule.by_name else rule.asked
        options = await options_for(self._db, call, asked, mode="incremental", file_name=taken.name)
        arrival = Arrival(self._files, self._max_upload)
        try:
            async with self._plain(drop, inbox, taken) as path:
                async for chunk in read(path):
                    await arrival.write(chunk)
            scanned = await arrival.end()

            async def decided(tx: Transaction, import_id: UUID) -> None:
                if not await drop_files.received(tx, taken, import_id):
                    raise AlreadyTaken("this file was imported before")

            made = await self._receiver.receive(call, arrival, scanned, options, taken.name, beside=decided)
        except BaseException:
            await arrival.discard()
            raise
        return made.id

    @asynccontextmanager
    async def _plain(self, drop: Drop, inbox: Inbox, taken: Taken) -> AsyncIterator[Path]:
        """The file as it can be read: what came encrypted is opened with the account's keys, for as long as it takes."""
        held = inbox_taking.held(inbox, taken)
        if not await asyncio.to_thread(is_encrypted, held, taken.name):
            yield held
            return
        opened = inbox_taking.held(inbox, taken, ".plain")
        try:
            await self._keys.open(drop.account_id, held, opened, self._max_upload)
            yield opened
        finally:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(opened.unlink, missing_ok=True)

    async def _reject(self, taken: Taken, wrong: Problem) -> Taken:
        detail = wrong.detail
        if isinstance(wrong, BadOptions):
            # A report has no list of faults.
            detail = "; ".join([detail, *(f"{fault.pointer}: {fault.detail}" for fault in wrong.faults)])
        async with self._db.account(taken.account_id) as tx:
            if not await drop_files.rejected(tx, taken, wrong.code, detail):
                raise NotNow("decided")
        return replace(taken, state=TakenState.REJECTED, error_code=wrong.code, error_detail=detail)
