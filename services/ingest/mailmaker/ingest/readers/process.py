"""ingest.readers.process: starts the reading child and hears it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from mailmaker.ingest.readers.job import Answer, Job

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "SYSTEMROOT")
_LONGEST_ANSWER = 1 << 20
_GOODBYE = 5.0


class Reading:
    """A child at work on one job."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def next(self) -> Answer | None:
        """The child's next word; None when it died without a last one."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        return Answer.decode(line) if line.endswith(b"\n") else None

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    async def end(self) -> None:
        """Ends the child, whatever it does, and reaps it."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await asyncio.wait_for(self._process.wait(), _GOODBYE)


@contextlib.asynccontextmanager
async def reading(job: Job) -> AsyncIterator[Reading]:
    """A child that has its job. It needs no secret of ours, so it gets none; leaving the block ends it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mailmaker.ingest.readers.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        limit=_LONGEST_ANSWER,
    )
    child = Reading(process)
    try:
        assert process.stdin is not None
        process.stdin.write(job.encode())
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()
        yield child
    finally:
        await asyncio.shield(child.end())
