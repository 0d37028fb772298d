"""ingest.actions.read_lines: of a file that was told by its lines, reads those that the list does not hold, or all of it."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from mailmaker.common.contracts.lines import LinesRead
from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.storage.engine import Database
from mailmaker.ingest.actions.show import PULLABLE
from mailmaker.ingest.domain.imports import Import
from mailmaker.ingest.errors import ReaderBusy, UnknownImport
from mailmaker.ingest.readers.job import Answer, Job
from mailmaker.ingest.readers.limits import of_death, seconds_for
from mailmaker.ingest.readers.process import reading
from mailmaker.ingest.storage import imports as store
from mailmaker.ingest.storage.files import Files

_WALL = 3.0
"""A file may take so many times its processor seconds: the machine has others to serve."""


def job_of(files: Files, of: Import, now: datetime) -> Job:
    """What its reader is told of an import."""
    return Job(
        upload=str(files.upload(of.id)),
        staged=str(files.staged(of.id)),
        outline=str(files.outline(of.id)),
        rejects=str(files.rejects(of.id)),
        lines=str(files.lines(of.id)),
        key=of.about.key,
        country=of.about.country,
        today=now.date().isoformat(),
        not_utf8_at=of.upload.not_utf8_at,
        custom=of.about.custom,
        mapping=dict(of.options.mapping),
        encoding=of.upload.source.encoding or of.options.encoding,
        delimiter=of.upload.source.delimiter or of.options.delimiter,
        first_line=of.upload.source.first_line,
        defaults=dict(of.options.defaults),
        date_formats=of.options.date_formats,
        decimal=of.options.decimal,
        split_name=of.options.split_name,
        trailer=of.options.trailer,
        expected_rows=of.options.expected_rows,
        empty_cells=of.options.empty_text(of.about.stored),
        names_rejected=of.options.mode == "full",
        naming=of.options.naming,
    )


class LineReader:
    """At most `at_once` files are read at a time."""

    def __init__(self, db: Database, files: Files, clock: Clock, at_once: int) -> None:
        self._db = db
        self._files = files
        self._clock = clock
        self._slots = asyncio.Semaphore(at_once)

    async def read(self, import_id: UUID, wanted: Sequence[int] | None) -> LinesRead:
        """Stages these lines (None: all), and says how many of them were good, refused and repeated. The same question
        again is answered anew. Raises UnknownImport; ReaderBusy where it is to be asked again."""
        async with self._db.platform() as tx:
            of = await store.of_any_account(tx, import_id)
        if of is None:
            raise UnknownImport("no such import")
        # The import is held meanwhile: who asks again, since the answer was lost, waits for the files of the first.
        async with self._slots, self._db.account(of.account_id) as tx:
            patience = 2 * _WALL * seconds_for(of.upload.size)
            held = await store.hold(tx, of.account_id, import_id, patience)
            if held is None or held.state not in PULLABLE or not held.reading.by_line:
                raise UnknownImport("no such import waits to be read")
            answer = await self._staged(held, wanted)
            if answer.code is None and not answer.joined:
                counts = {"rejected": answer.rejected, "duplicate": answer.duplicate}
                # Of records that cross line ends there are fewer than lines.
                whole = {} if wanted is not None else {"rows": answer.rows}
                await store.has_read(tx, held, counts | whole)
        return LinesRead(
            joined=answer.joined,
            rows=answer.rows,
            staged=answer.staged,
            rejected=answer.rejected,
            duplicate=answer.duplicate,
            named=answer.named,
            error_code=answer.code,
            error_detail=answer.detail,
        )

    async def _staged(self, of: Import, wanted: Sequence[int] | None) -> Answer:
        job = job_of(self._files, of, self._clock.now())
        if wanted is None:
            return await self._heard(of, job)
        path = Path(f"{job.lines}.wanted")
        try:
            await asyncio.to_thread(path.write_bytes, array("i", wanted).tobytes())
            return await self._heard(of, replace(job, wanted=str(path)))
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _heard(self, of: Import, job: Job) -> Answer:
        """The child's last word; of one that died, why."""
        try:
            async with asyncio.timeout(_WALL * seconds_for(of.upload.size)), reading(job) as child:
                while (answer := await child.next()) is not None:
                    if answer.done or answer.code is not None:
                        return answer
        except TimeoutError as late:
            raise ReaderBusy("the file was not read in time; ask again") from late
        wrong = of_death(child.exit_code)
        logger("ingest.actions").warning("reader died", import_id=str(of.id), exit_code=child.exit_code)
        return Answer(code=wrong.code, detail=wrong.detail)
