"""fbl.parse.child: the process that reads strangers' mail: no keys, no database, little memory, little time.

It takes a length (8 bytes) and a mail on standard input and answers a length and JSON: findings, or the name of the
limit that was broken. It ends when its parent does.
"""

from __future__ import annotations

import resource
import sys
from typing import BinaryIO

from mailmaker.fbl.parse.examine import examine
from mailmaker.fbl.parse.mime import Unreadable

MEMORY = 768 * 1024 * 1024
CPU_SECONDS = 5


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        head = source.read(8)
        if len(head) < 8:
            return
        _allow_more_cpu()
        answer = _answer(source.read(int.from_bytes(head, "big")))
        _write(answers, answer)


def _answer(raw: bytes) -> bytes:
    try:
        return b"+" + examine(raw).encode()
    except Unreadable as wrong:
        return b"-" + wrong.code.encode()
    except (MemoryError, RecursionError):
        return b"-out_of_bounds"


def _allow_more_cpu() -> None:
    """The soft limit moves ahead with each mail; passing it is SIGXCPU, which ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_SECONDS + 1, hard))


def _write(answers: BinaryIO, answer: bytes) -> None:
    answers.write(len(answer).to_bytes(8, "big") + answer)
    answers.flush()


if __name__ == "__main__":
    main()
