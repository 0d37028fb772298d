"""fbl.parse.cell: keeps one parsing child; a mail that makes it die or hang is given back as a failure, once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

from mailmaker.fbl.domain.findings import Findings

WALL_SECONDS = 20.0
_KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL")


class ParsingFailed(Exception):
    """This mail cannot be read within the bounds. `code` is stable; the mail is to be parked, not tried again."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Cell:
    """A resource. `examine` takes one mail at a time; the child is started when first needed and after each death."""

    def __init__(self, wall_seconds: float = WALL_SECONDS) -> None:
        self._wall_seconds = wall_seconds
        self._lock = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        return None

    async def close(self) -> None:
        await self._end()

    async def examine(self, raw: bytes) -> Findings:
        """What the mail says. Raises ParsingFailed."""
        async with self._lock:
            try:
                answer = await asyncio.wait_for(self._ask(raw), self._wall_seconds)
            except TimeoutError:
                await self._end()
                raise ParsingFailed("parser_timeout") from None
            except (OSError, asyncio.IncompleteReadError):
                await self._end()
                raise ParsingFailed("parser_crashed") from None
            except asyncio.CancelledError:
                # Half an exchange is on the pipes: this child cannot serve another mail.
                await self._end()
                raise
        if answer[:1] == b"-":
            raise ParsingFailed(answer[1:].decode())
        return Findings.decode(answer[1:])

    async def _ask(self, raw: bytes) -> bytes:
        child = self._child or await self._begin()
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(len(raw).to_bytes(8, "big"))
        child.stdin.write(raw)
        await child.stdin.drain()
        size = int.from_bytes(await child.stdout.readexactly(8), "big")
        return await child.stdout.readexactly(size)

    async def _begin(self) -> asyncio.subprocess.Process:
        # The child is shown nothing of our environment: it reads what strangers wrote.
        environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mailmaker.fbl.parse.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environ,
        )
        return self._child

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), 5)
