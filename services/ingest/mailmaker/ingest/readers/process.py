"""ingest.readers.process: starts the reading child and hears it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from mailmaker.ingest.readers.job import Answer, Job, Opened

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "SYSTEMROOT")
# One arena: a second one would take 64 MB of the addresses that the child may use.
_OF_READERS = {"MALLOC_ARENA_MAX": "1"}
_LONGEST_ANSWER = 4 << 20
_GOODBYE = 5.0


class Reading:
    """A child at work on one job."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._is_done = False

    async def next(self) -> Answer | None:
        """The next word of a child that stages; None when it died without a last one."""
        line = await self._line()
        if not line.endswith(b"\n"):
            return None
        answer = Answer.decode(line)
        self._is_done = answer.done or answer.code is not None
        return answer

    async def opened(self) -> Opened | None:
        """The word of a child that opens; None when it died of the file."""
        line = await self._line()
        if line.endswith(b"\n"):
            self._is_done = True
            return Opened.decode(line)
        await self._process.wait()
        return None

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    async def end(self) -> None:
        """Ends the child, whatever it does, and reaps it."""
        if self._is_done:
            # It ends by itself: a kill would take its exit from under the loop that waits for it.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _GOODBYE)
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
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _OF_READERS,
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
