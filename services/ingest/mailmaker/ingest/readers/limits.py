"""ingest.readers.limits: what a reading process may use, and what its death means for the file."""

from __future__ import annotations

import resource
import signal

from mailmaker.ingest.readers.faults import Unreadable

OPENING_MEMORY = 232 << 20
"""Memory that opening a file may add to the bare process: with it, no parse holds more than 256 MB."""
STAGING_MEMORY = 2 << 30
_SECONDS = 10
_SLOWEST = 4 << 20
"""Bytes a second: a file that is read more slowly than this is not read to its end."""


def seconds_for(size: int) -> int:
    """Processor seconds that a file may take."""
    return _SECONDS + size // _SLOWEST


def confine(memory: int, seconds: int) -> None:
    """Limits this process. No core file: it would hold people's data."""
    hidden = _kib("VmSize") - _kib("VmRSS")
    most = memory + (hidden << 10)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def peak() -> int:
    """The most memory this process has held, in KiB."""
    return _kib("VmHWM")


def of_death(exit_code: int | None) -> Unreadable:
    """Why a file is refused whose reading process died while it opened it. Nobody tries it again."""
    if exit_code in (-signal.SIGXCPU, -signal.SIGKILL):
        return Unreadable("file.bomb", "it takes longer to open than any list of contacts; save it as CSV")
    if exit_code in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS):
        return too_large()
    return Unreadable("file.broken", "the file cannot be opened: it is damaged; save it as CSV")


def too_large() -> Unreadable:
    """The file needs more memory than a parse may take."""
    return Unreadable(
        "file.too_large_unpacked", "once unpacked, it needs more memory than a file may take; save it as CSV"
    )


def _kib(name: str) -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0
