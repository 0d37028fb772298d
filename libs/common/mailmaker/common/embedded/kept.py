"""common.embedded.kept: keeps a process alive: one that dies is started again at once, and slower if it keeps dying."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from mailmaker.common.embedded.errors import EmbeddedError
from mailmaker.common.embedded.process import Child

_LOOK_EVERY = 0.1
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 30.0
_SOUND_AFTER = 10.0
"""A process that lived this long is forgiven the deaths before."""

Say = Callable[[str], None]


class Startable(Protocol):
    """What can be kept. `start` and `stop` block; `start` on something alive does nothing."""

    @property
    def alive(self) -> bool: ...

    def start(self) -> object: ...

    def stop(self) -> object: ...


class ServiceProcess:
    """`mailmaker run <what>` as a child."""

    def __init__(self, what: str, env: Mapping[str, str], log: Path, patience: float = 35.0) -> None:
        self._command = [*mailmaker_command(), "run", what]
        self._env = env
        self._log = log
        self._patience = patience
        self._child: Child | None = None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def start(self) -> None:
        self._child = Child(self._command, log=self._log, env=self._env)

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop(signal.SIGTERM, patience=self._patience)

    def fate(self) -> str:
        """How it ended: its last line, unless that is a line of log, which is better read where it stands."""
        if self._child is None:
            return ""
        last = (self._child.last_words().splitlines() or [""])[-1]
        return f"({self._child.exit_code}) " + (f"see {self._log}" if last[:1] in ("", "{") else last[:500])


def mailmaker_command() -> list[str]:
    """This environment's `mailmaker`, so that a process list reads `mailmaker run contacts`."""
    script = Path(sys.executable).with_name("mailmaker")
    return (
        [sys.executable, str(script)] if script.exists() else [sys.executable, "-m", "mailmaker.common.cli"]
    )


async def keep(name: str, thing: Startable, say: Say) -> None:
    """Starts it again whenever it has died, until cancelled."""
    pause, born = _FIRST_PAUSE, time.monotonic()
    while True:
        if thing.alive:
            await asyncio.sleep(_LOOK_EVERY)
            continue
        if time.monotonic() - born > _SOUND_AFTER:
            pause = _FIRST_PAUSE
        fate = thing.fate() if isinstance(thing, ServiceProcess) else ""
        say(f"{name} ended; it is started again in {pause:.1f} s {fate}")
        await asyncio.sleep(pause)
        pause, born = min(pause * 2, _LONGEST_PAUSE), time.monotonic()
        try:
            await asyncio.to_thread(thing.start)
        except (EmbeddedError, OSError) as wrong:
            say(f"{name} cannot be started: {wrong}")
