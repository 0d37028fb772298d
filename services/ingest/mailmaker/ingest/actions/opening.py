"""ingest.actions.opening: opens files before they are acknowledged, each once, in a process that may die of it."""

from __future__ import annotations

import asyncio

from mailmaker.common.ops.clock import Clock
from mailmaker.common.ops.logging import logger
from mailmaker.common.web.problem import Fault
from mailmaker.ingest.domain.imports import ListFacts
from mailmaker.ingest.domain.options import Options
from mailmaker.ingest.errors import BadFile, ReaderBusy
from mailmaker.ingest.readers.job import Job, Opened, Said
from mailmaker.ingest.readers.limits import of_death, seconds_for
from mailmaker.ingest.readers.process import reading
from mailmaker.ingest.readers.scan import Scanned
from mailmaker.ingest.storage.files import Incoming

_MOST_WAITING = 64
_PATIENCE = 30.0
_WALL = 3.0
"""A file may take so many times its processor seconds: the machine has others to serve."""


class Opener:
    """At most `at_once` files are opened at a time; `most` bounds what may come out of one."""

    def __init__(self, at_once: int, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._slots = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._log = logger("ingest.actions.opening")

    async def open(
        self,
        incoming: Incoming,
        scanned: Scanned,
        options: Options,
        about: ListFacts,
        *,
        json_lines: bool = False,
        sample: int = 0,
    ) -> Opened:
        """What the file is; with `faults`, why it cannot be imported. Raises ReaderBusy."""
        job = Job(
            task="open",
            upload=str(incoming.path),
            staged=str(incoming.plain),
            outline="",
            rejects="",
            key=about.key,
            country=about.country,
            today=self._clock.now().date().isoformat(),
            not_utf8_at=scanned.not_utf8_at,
            line_ends=scanned.line_ends,
            custom=about.custom,
            mapping=dict(options.mapping),
            encoding=options.encoding,
            delimiter=options.delimiter,
            sheet=options.sheet,
            defaults=dict(options.defaults),
            date_formats=options.date_formats,
            decimal=options.decimal,
            split_name=options.split_name,
            naming=options.naming,
            json_lines=json_lines,
            sample=sample,
            most=self._most,
        )
        if self._waiting >= _MOST_WAITING:
            raise _busy()
        self._waiting += 1
        try:
            await asyncio.wait_for(self._slots.acquire(), _PATIENCE)
        except TimeoutError as late:
            raise _busy() from late
        finally:
            self._waiting -= 1
        try:
            return await self._opened(job, _WALL * seconds_for(scanned.size))
        finally:
            self._slots.release()

    async def _opened(self, job: Job, patience: float) -> Opened:
        try:
            async with reading(job) as child:
                found = await asyncio.wait_for(child.opened(), patience)
        except TimeoutError as late:
            raise _busy() from late
        if found is not None:
            return found
        # Whatever killed the process was in the file: nobody opens it again.
        wrong = of_death(child.exit_code)
        self._log.warning("a file killed its reader", code=wrong.code, exit_code=child.exit_code)
        return Opened(faults=(Said(wrong.code, wrong.detail),))


def refuse(opened: Opened) -> None:
    """Raises BadFile for a file that cannot be imported as it was asked."""
    if opened.faults:
        faults = [Fault(one.pointer, one.code, one.detail) for one in opened.faults]
        raise BadFile("; ".join(one.detail for one in opened.faults), code=faults[0].code, faults=faults)


def _busy() -> ReaderBusy:
    return ReaderBusy("all readers are at work; send the file again", headers={"Retry-After": "5"})
