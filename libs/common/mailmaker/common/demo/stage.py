"""common.demo.stage: the platform as a stranger starts it, and the ledger sink it sends to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from mailmaker.common.embedded.ports import free_port
from mailmaker.common.embedded.process import Child
from mailmaker.common.testing.ledger import Ledger
from mailmaker.common.testing.processes import command_line, descendants, environment

READY_WITHIN = 120.0


class StageFailed(RuntimeError):
    """The platform did not come up; says where its own words are."""


@dataclass(frozen=True)
class Stage:
    """A running platform: what `dev.json` says, the process tree, and the sink's ledger."""

    directory: Path
    up: Child
    sink: Child
    ledger: Ledger
    dev: dict[str, Any]

    def processes(self, house: str) -> list[int]:
        """The processes of a house now, by command line."""
        wanted = f"mailmaker run {house}"
        return sorted(pid for pid in descendants(self.up.pid) if wanted in command_line(pid))

    def relays(self) -> list[int]:
        """The processes of dispatch that send."""
        return [
            pid
            for pid in self.processes("dispatch")
            if b"MAILMAKER_DISPATCH_RELAY=false" not in environment(pid)
        ]

    def enforcers(self) -> list[int]:
        """The process of dispatch that puts every "no" into force; empty while it is started again."""
        return sorted(set(self.processes("dispatch")) - set(self.relays()))

    def kill(self, house: str) -> int | None:
        """kill -9 of one process of a house, of dispatch one that sends; its pid, or None when there was none."""
        for pid in self.relays() if house == "dispatch" else self.processes(house):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return pid
        return None

    async def ready(self) -> bool:
        """Whether the front door says that all five houses are ready."""
        try:
            async with httpx.AsyncClient(timeout=2, trust_env=False) as http:
                return (await http.get(f"{self.dev['base_url']}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


@contextlib.asynccontextmanager
async def raised(
    directory: Path,
    options: Sequence[str] = (),
    *,
    keep_bytes: str = "all",
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Stage]:
    """Starts the sink and `mailmaker up` under `directory`, waits until ready, and stops both at the end. The sink's
    ledger and the platform's state are kept: raised again in the same place, both go on. `env` is the platform's."""
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    state, log = directory / "state", directory / "sink.log"
    log.unlink(missing_ok=True)
    sink = await asyncio.to_thread(
        Child,
        [
            sys.executable,
            "-m",
            "mailmaker.common.testing.sink",
            "--dir",
            directory / "sink",
            "--keep-bytes",
            keep_bytes,
        ],
        log=log,
    )
    up = None
    try:
        address = await _said(log, "sink ", 20)
        (state / "dev.json").unlink(missing_ok=True)
        command: list[str | Path] = [
            *(sys.executable, "-m", "mailmaker.common.cli", "up", "--state", state, "--smarthost", address),
            *("--port", str(free_port()), *options),
        ]
        up = await asyncio.to_thread(Child, command, log=directory / "up.log", env=env)
        yield await _stage(directory, state, up, sink)
    finally:
        for child in (up, sink):
            if child is not None:
                await asyncio.to_thread(child.stop, signal.SIGTERM, patience=60)


async def _stage(directory: Path, state: Path, up: Child, sink: Child) -> Stage:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_WITHIN
    while loop.time() < deadline:
        if not up.alive:
            raise StageFailed(f"`mailmaker up` ended; its words are in {directory / 'up.log'}")
        with contextlib.suppress(OSError, ValueError):
            dev = json.loads(await asyncio.to_thread((state / "dev.json").read_text))
            stage = Stage(directory, up, sink, Ledger(directory / "sink"), dev)
            if await stage.ready():
                return stage
        await asyncio.sleep(0.2)
    raise StageFailed(f"not ready within {READY_WITHIN:.0f} s; see {directory / 'up.log'}")


async def _said(log: Path, prefix: str, seconds: float) -> str:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline:
        with contextlib.suppress(OSError):
            for line in (await asyncio.to_thread(log.read_text)).splitlines():
                if line.startswith(prefix):
                    return line.removeprefix(prefix).strip()
        await asyncio.sleep(0.05)
    raise StageFailed(f"the sink did not start; see {log}")
