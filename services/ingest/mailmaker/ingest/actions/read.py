"""ingest.actions.read: reads waiting files, one after another, and stages them for contacts."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from uuid import UUID

from mailmaker.common.contracts.imports import ImportBasis, ImportFinding, ImportGuards, ImportStaged
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database, StorageUnavailable
from mailmaker.common.storage.ids import new_id
from mailmaker.ingest.actions.read_lines import job_of
from mailmaker.ingest.domain.imports import MOST_ATTEMPTS, MOST_CRASHES, Import, Reading, State
from mailmaker.ingest.readers.job import Answer
from mailmaker.ingest.readers.process import reading
from mailmaker.ingest.storage import imports as store
from mailmaker.ingest.storage import leases
from mailmaker.ingest.storage.files import Files

POLL = 1.0
RENEW_EVERY = 2.0
SILENCE = 300.0


class ReaderWorker:
    """One reader: at most as many files are read at once as there are workers."""

    def __init__(self, number: int, db: Database, files: Files, clock: Clock, wake: asyncio.Event) -> None:
        self.name = f"ingest.reader.{number}"
        self._db = db
        self._files = files
        self._clock = clock
        self._wake = wake
        self._log = logger("ingest.actions.read")

    async def run(self, stop: asyncio.Event) -> None:
        """Reads until told to stop. A file whose reader died is found by its lapsed lease."""
        while not stop.is_set():
            self._wake.clear()
            if await self.read_one(stop):
                continue
            waits = [asyncio.ensure_future(event.wait()) for event in (self._wake, stop)]
            try:
                await asyncio.wait(waits, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def read_one(self, stop: asyncio.Event) -> bool:
        """Reads the oldest waiting file. False: there is none."""
        lease = new_id()
        async with self._db.platform() as tx:
            of = await leases.claim(tx, lease)
        if of is None:
            return False
        if of.crashes >= MOST_CRASHES or of.attempts > MOST_ATTEMPTS:
            detail = "the reader died of this file again and again; it is kept for our engineers"
            await self._finish(of, lease, Answer(code="reader.crashed", detail=detail))
            return True
        try:
            answer = await self._read(of, lease, stop)
        except BaseException:
            await asyncio.shield(self._give_back(of, lease, crashed=False))
            raise
        if answer is not None:
            await self._finish(of, lease, answer)
        return True

    async def _read(self, of: Import, lease: UUID, stop: asyncio.Event) -> Answer | None:
        """The child's last word. None: there is nothing to finish (cancelled, given back, or the child crashed)."""
        await self._files.forget_halves(of.id)
        async with self._db.account(of.account_id) as tx:
            known_seed = await store.held_seed(tx, of.account_id, of.options.list_id)
        job = replace(job_of(self._files, of, self._clock.now()), known_seed=known_seed)
        async with reading(job) as child:
            heard = renewed = self._clock.boot()
            rows = 0
            word = asyncio.ensure_future(child.next())
            try:
                while True:
                    await asyncio.wait([word], timeout=RENEW_EVERY / 2)
                    now = self._clock.boot()
                    if word.done():
                        answer = word.result()
                        if answer is None:
                            break
                        if answer.done or answer.code is not None:
                            return answer
                        heard, rows = now, answer.rows
                        word = asyncio.ensure_future(child.next())
                    if stop.is_set():
                        await self._give_back(of, lease, crashed=False)
                        return None
                    if now - renewed >= RENEW_EVERY:
                        renewed = now
                        if not await self._renew(of, lease, rows):
                            return None
                    if now - heard > SILENCE:
                        break
            finally:
                word.cancel()
        self._log.warning("reader died", import_id=str(of.id), exit_code=child.exit_code)
        await self._give_back(of, lease, crashed=True)
        return None

    async def _renew(self, of: Import, lease: UUID, rows: int) -> bool:
        try:
            async with self._db.account(of.account_id) as tx:
                return await leases.renew(tx, of, lease, rows)
        except StorageUnavailable:
            # The lease may lapse meanwhile: then the last commit finds that out.
            return True

    async def _give_back(self, of: Import, lease: UUID, *, crashed: bool) -> None:
        async with self._db.account(of.account_id) as tx:
            await leases.give_back(tx, of, lease, crashed=crashed)

    async def _finish(self, of: Import, lease: UUID, answer: Answer) -> None:
        """One commit: the import's counts, and the event that sends contacts for the staged rows."""
        async with self._db.account(of.account_id) as tx:
            held = await leases.held(tx, of, lease)
            if held is None:
                return
            if answer.code is not None:
                await store.set_state(tx, held, State.FAILED, answer.code, answer.detail)
                return
            counts = {"rows": answer.rows, "rejected": answer.rejected, "duplicate": answer.duplicate}
            how = Reading(
                answer.encoding,
                answer.delimiter,
                answer.fields,
                answer.ignored,
                answer.findings,
                answer.seed,
                answer.by_line,
            )
            tx.stage(self._event(await leases.staged(tx, held, counts, how), answer))

    def _event(self, of: Import, answer: Answer) -> ImportStaged:
        basis = of.options.lawful_basis
        return ImportStaged(
            account_id=of.account_id,
            occurred_at=self._clock.now(),
            import_id=of.id,
            list_id=of.options.list_id,
            mode=of.options.mode,
            rows=answer.rows,
            rejected=answer.rejected,
            duplicate=answer.duplicate,
            staged=answer.rows if answer.by_line else answer.staged,
            named=answer.named,
            by_line=answer.by_line,
            fields=tuple(of.about.stored(name) for name in answer.fields),
            empty_cells=of.options.empty_word,
            empty_cells_by_field=of.options.empty_by_field(of.about.stored),
            protect_cancellations=of.options.protect_cancellations,
            consent=of.options.consent,
            apply="on_approval" if answer.findings else of.options.apply,
            guards=None if of.options.guards is None else ImportGuards(**asdict(of.options.guards)),
            findings=tuple(ImportFinding(**asdict(one)) for one in answer.findings),
            scope=of.options.scope,
            channel=of.options.channel,
            received_at=of.created_at,
            sent_by=of.sent_by,
            lawful_basis=None if basis is None else ImportBasis(**asdict(basis)),
            key_column=answer.key_column,
            profile_id=of.options.profile_id,
        )
