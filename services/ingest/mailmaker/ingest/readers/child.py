"""ingest.readers.child: the process that reads one file: `python -m mailmaker.ingest.readers.child`.

A process of its own keeps the service's event loop free, its memory small, and a crash of the reader away from it.
It is told one Job on stdin and ends with one Answer on stdout; when stdin closes (the service died), it ends too.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
import traceback

from mailmaker.ingest.readers.job import Answer, Job
from mailmaker.ingest.readers.stage import stage

_MEMORY = 2 << 30
_CRASHED = 70


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    job = Job.decode(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_service, daemon=True).start()
    os.nice(1)
    # Batches are trees of strings without cycles: reference counts free them, the collector would only walk them.
    gc.disable()
    try:
        answer = stage(job, _tell)
    except Exception as wrong:
        # Where and what kind, never the message: it may hold a cell of the file.
        print(type(wrong).__name__, *traceback.format_tb(wrong.__traceback__), sep="\n", file=sys.stderr)
        os._exit(_CRASHED)
    _tell(answer)


def _tell(answer: Answer) -> None:
    sys.stdout.buffer.write(answer.encode())
    sys.stdout.buffer.flush()


def _end_with_service() -> None:
    sys.stdin.buffer.read()
    os._exit(_CRASHED)


if __name__ == "__main__":
    main()
