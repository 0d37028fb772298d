"""common.embedded.postgres: one PostgreSQL cluster in a directory, started as a child that never outlives us.

Synchronous and thread-safe (call it through `asyncio.to_thread` from a coroutine): `start()` answers the
administrator's URL, `stop()` returns when the server has gone. The data stays; the next start continues on
it.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from mailmaker.common.embedded.errors import AlreadyUp, EmbeddedError, StartFailed
from mailmaker.common.embedded.ports import Ports
from mailmaker.common.embedded.postgres_home import PostgresHome, find
from mailmaker.common.embedded.process import Child

ADMIN = "postgres"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    # Compressed pages would cost a load of new contacts a third of its time; what is scarce on one machine is its cores.
    "wal_compression": "off",
    "checkpoint_completion_target": "0.9",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
# For tests: what a power cut would lose, kill -9 does not. synchronous_commit stays on, so a commit still
# means the row is in the kernel's hands.
_FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB"}


class PostgresServer:
    """A cluster under `directory`. `fast` trades safety at power cuts for speed: tests only."""

    def __init__(self, directory: Path, *, fast: bool = False) -> None:
        self.directory = Path(directory).absolute()
        self._data = self.directory / "data"
        self._log = self.directory / "postgres.log"
        self._fast = fast
        self._ports = Ports(self.directory / "ports.json")
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """The administrator's URL of the database `postgres`; empty before the first start."""
        return self._url

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def start(self, timeout: float = 60.0) -> str:
        """Makes the cluster if there is none, starts it, waits until it accepts connections."""
        with self._lock:
            if self._child is not None and self._child.alive:
                return self._url
            home = find()
            self.directory.mkdir(parents=True, exist_ok=True)
            self._make(home)
            deadline = time.monotonic() + timeout
            self._wait_for_predecessor(deadline)
            self._child = self._launch(home, deadline)
            return self._url

    def stop(self, timeout: float = 30.0) -> None:
        """Fast shutdown (SIGINT): open transactions are rolled back, a checkpoint is written."""
        with self._lock:
            if self._child is not None:
                self._child.stop(signal.SIGINT, patience=timeout)
                self._child = None

    def kill(self) -> None:
        """kill -9, for crash tests."""
        with self._lock:
            if self._child is not None:
                self._child.kill()

    def _make(self, home: PostgresHome) -> None:
        version = self._data / "PG_VERSION"
        if version.exists():
            major = version.read_text().strip()
            if major != str(home.major):
                raise EmbeddedError(
                    f"{self._data} was written by PostgreSQL {major}, here is {home.major} ({home.bin}). "
                    f"Set MAILMAKER_PG_BIN to the programs of PostgreSQL {major}."
                )
            return
        # initdb works in a directory of its own, renamed when whole: one that was cut short is thrown away.
        part = self.directory / "data.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        password = self._password()
        _give(home, part)
        options = ["-D", str(part), "-U", ADMIN, "-E", "UTF8", "--locale=C"]
        if self._fast:
            options += ["-A", "trust", "--no-sync"]
        else:
            pwfile = self.directory / "password.part"
            pwfile.touch(mode=0o600)
            pwfile.write_text(password)
            _give(home, pwfile)
            options += ["-A", "scram-sha-256", "--pwfile", str(pwfile)]
        child = Child(
            home.command("initdb", *options),
            log=self.directory / "initdb.log",
            env=_plain_environment(),
            user=home.user,
        )
        if not child.wait(120) or child.exit_code != 0:
            failure = child.failure("initdb")
            child.kill()
            raise failure
        (self.directory / "password.part").unlink(missing_ok=True)
        part.rename(self._data)

    def _password(self) -> str:
        file = self.directory / "password"
        if not file.exists():
            part = self.directory / "password.new"
            part.touch(mode=0o600)
            part.write_text(secrets.token_urlsafe(24))
            part.replace(file)
        return file.read_text().strip()

    def _wait_for_predecessor(self, deadline: float) -> None:
        """A server whose launcher was killed takes a moment to leave; a pid file may also name a stranger.

        PostgreSQL itself refuses to start when the pid in the file is any living process: after a reboot, or
        in a container, that is often somebody else.
        """
        pid_file = self._data / "postmaster.pid"
        while True:
            lines = _lines(pid_file)
            pid = int(lines[0]) if lines and lines[0].isdigit() else 0
            if not pid or not _is_postgres_of(pid, self._data):
                pid_file.unlink(missing_ok=True)
                return
            if time.monotonic() > deadline - 30:
                raise AlreadyUp(f"PostgreSQL with pid {pid} is running on {self._data}.")
            time.sleep(0.05)

    def _launch(self, home: PostgresHome, deadline: float) -> Child:
        while True:
            port = self._ports.get("postgres")
            settings = _SETTINGS | (_FAST if self._fast else {}) | {"port": str(port)}
            options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            child = Child(
                home.command("postgres", "-D", str(self._data), *options),
                log=self._log,
                env=_plain_environment(),
                user=home.user,
                # Immediate shutdown: every backend goes at once and the shared memory is given back; the next
                # start replays the log.
                death_signal=signal.SIGQUIT,
            )
            if self._ready(child, deadline):
                password = "" if self._fast else f":{self._password()}"
                self._url = f"postgresql://{ADMIN}{password}@127.0.0.1:{port}/postgres"
                return child
            failure = child.failure("PostgreSQL")
            child.stop(signal.SIGQUIT, patience=5)
            # Backends of a killed server may hold its shared memory for a moment; and a port may have been
            # taken between our look and its bind.
            passing = ("pre-existing shared memory block", "could not bind", "Address already in use")
            if time.monotonic() > deadline or not any(sign in str(failure) for sign in passing):
                raise failure
            time.sleep(0.2)

    def _ready(self, child: Child, deadline: float) -> bool:
        """The pid file of a killed server still says `ready`: only ours counts."""
        while child.alive and time.monotonic() < deadline:
            lines = _lines(self._data / "postmaster.pid")
            if len(lines) >= 8 and lines[0] == str(child.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.01)
        return False


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def _is_postgres_of(pid: int, data: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        if Path("/proc/self").exists():
            return False
        told = subprocess.run(
            ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, timeout=5, check=False
        )
        words = told.stdout.split()
    return str(data).encode() in words and any(word.endswith(b"postgres") for word in words)


def _plain_environment() -> dict[str, str]:
    """Ours without PGDATA, PGPORT and the like, which would change what the programs do."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return plain | {"LC_ALL": "C", "TZ": "UTC"}


def _give(home: PostgresHome, path: Path) -> None:
    """To the user who will run the server, where that is not us; he must also be able to come to it."""
    if home.user == "-":
        return
    account = pwd.getpwnam(home.user)
    os.chown(path, account.pw_uid, account.pw_gid)
    for parent in path.parents:
        if not parent.stat().st_mode & 0o001:
            if parent != path.parent:
                raise StartFailed(f"{home.user}, who runs PostgreSQL for root here, may not enter {parent}.")
            parent.chmod(parent.stat().st_mode | 0o011)
