"""common.embedded.process: a child process that never outlives this one, even if this one is killed -9.

Synchronous and thread-safe. Linux sends the parent-death signal when the *thread* that forked ends, so every
child is forked by one thread that lives as long as the process does.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeAlias

from mailmaker.common.embedded.errors import StartFailed

Process: TypeAlias = subprocess.Popen[bytes]
_LEASH = Path(__file__).with_name("leash.py")
_LOG_KEPT = 16 * 1024 * 1024

_wishes: queue.SimpleQueue[tuple[Callable[[], Process], Future[Process]]] = queue.SimpleQueue()
_forking = threading.Lock()
_forker: threading.Thread | None = None


def _fork_for_ever() -> None:
    while True:
        fork, answer = _wishes.get()
        try:
            answer.set_result(fork())
        except BaseException as error:  # handed to the caller, whatever it is: this thread must live on
            answer.set_exception(error)


def _fork(fork: Callable[[], Process]) -> Process:
    global _forker
    with _forking:
        if _forker is None:
            _forker = threading.Thread(target=_fork_for_ever, name="forker", daemon=True)
            _forker.start()
    answer: Future[Process] = Future()
    _wishes.put((fork, answer))
    return answer.result(timeout=30)


class Child:
    """One program started by us: its log, its life, its end.

    `death_signal` is what the kernel sends it when this process is gone.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str = "-",
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.command = [str(word) for word in command]
        self.log = log
        _keep_short(log)
        leash = [sys.executable, "-I", "-S", str(_LEASH), str(int(death_signal)), str(os.getpid()), user]

        def fork() -> Process:
            with log.open("ab") as out:
                self._log_from = out.tell()
                return subprocess.Popen(
                    [*leash, *self.command],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=None if env is None else dict(env),
                    cwd=cwd,
                    start_new_session=True,  # Ctrl-C in the terminal is the launcher's to handle
                )

        self._popen = _fork(fork)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        return self._popen.poll()

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def wait(self, timeout: float) -> bool:
        """True if it has ended within `timeout` seconds."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def send(self, what: signal.Signals) -> None:
        """A signal to the child; none if it has ended (its pid may be another's by now)."""
        self._popen.send_signal(what)

    def stop(self, gently: signal.Signals = signal.SIGTERM, patience: float = 20.0) -> int:
        """Asks, waits, then kills. Returns the exit code."""
        self.send(gently)
        if not self.wait(patience):
            self.kill()
        return self._popen.wait(10)

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait(10)

    def last_words(self, size: int = 2000) -> str:
        """The end of what it logged in this life."""
        try:
            with self.log.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_from, end - size))
                return log.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def failure(self, what: str) -> StartFailed:
        code = self.exit_code
        state = "did not become ready" if code is None else f"ended with {code}"
        return StartFailed(f"{what} {state}; its log {self.log} ends:\n{self.last_words()}")


def _keep_short(log: Path) -> None:
    """A log that has grown becomes `.1`, over the one before it: two generations at most."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_KEPT:
        log.replace(log.with_name(log.name + ".1"))
