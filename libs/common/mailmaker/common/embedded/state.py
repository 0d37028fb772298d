"""common.embedded.state: the directory in which one machine lives: its lock, its secrets, its ports, dev.json."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from mailmaker.common.embedded.errors import AlreadyUp
from mailmaker.common.embedded.ports import Ports

DEV_JSON = "dev.json"


class State:
    """The directory, and what must be the same after every start."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory).absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        self.ports = Ports(self.directory / "ports.json")
        self._secrets_file = self.directory / "secrets.json"
        self._held: IO[str] | None = None

    def hold(self, patience: float = 5.0) -> None:
        """One launcher a directory, for as long as its process lives."""
        lock = (self.directory / "up.lock").open("a+")
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    lock.seek(0)
                    owner = lock.read().strip() or "unknown"
                    lock.close()
                    raise AlreadyUp(f"{self.directory} is in use by process {owner}.") from None
                time.sleep(0.05)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._held = lock

    def release(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def folder(self, *names: str) -> Path:
        made = self.directory.joinpath(*names)
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
        return made

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """The secret of that name, made and kept the first time it is asked for."""
        known = self.secrets()
        if name not in known:
            self.keep(**{name: make()})
        return self.secrets()[name]

    def secrets(self) -> dict[str, str]:
        return dict(json.loads(self._secrets_file.read_text())) if self._secrets_file.exists() else {}

    def keep(self, **named: str) -> None:
        write_private(self._secrets_file, json.dumps(self.secrets() | named, indent=2, sort_keys=True))

    def tell(self, facts: dict[str, Any]) -> None:
        """dev.json: what a client of this machine needs to know."""
        write_private(self.directory / DEV_JSON, json.dumps(facts, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, on the disk before it is believed, readable by its owner only."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def random_key() -> str:
    """32 random bytes, base64url without padding."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
