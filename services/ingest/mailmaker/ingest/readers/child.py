"""ingest.readers.child: the process that opens or stages one file: `python -m mailmaker.ingest.readers.child`.

A process of its own keeps the service's event loop free, its memory small, and a crash of the reader away from it.
It is told one Job on stdin and ends with one Opened or Answer on stdout; when stdin closes (the service died), it ends.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import traceback

from mailmaker.ingest.readers.job import Answer, Job, Opened
from mailmaker.ingest.readers.limits import OPENING_MEMORY, STAGING_MEMORY, confine, seconds_for

_CRASHED = 70
_STACK = 1 << 18


def main() -> None:
    job = Job.decode(sys.stdin.buffer.readline())
    threading.stack_size(_STACK)
    threading.Thread(target=_end_with_service, daemon=True).start()
    os.nice(1)
    # Batches are trees of strings without cycles: reference counts free them, the collector would only walk them.
    gc.disable()
    try:
        size = os.stat(job.upload).st_size
        confine(OPENING_MEMORY if job.task == "open" else STAGING_MEMORY, seconds_for(size))
        _tell(_done(job))
    except Exception as wrong:
        # Where and what kind, never the message: it may hold a cell of the file.
        print(type(wrong).__name__, *traceback.format_tb(wrong.__traceback__), sep="\n", file=sys.stderr)
        os._exit(_CRASHED)
    os._exit(0)


def _done(job: Job) -> Answer | Opened:
    if job.task == "open":
        # What a library prints while it dies may hold a cell of the file.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        from mailmaker.ingest.readers.opened import opened

        return opened(job)
    from mailmaker.ingest.readers.stage import stage

    return stage(job, _tell)


def _tell(answer: Answer | Opened) -> None:
    sys.stdout.buffer.write(answer.encode())
    sys.stdout.buffer.flush()


def _end_with_service() -> None:
    sys.stdin.buffer.read()
    os._exit(_CRASHED)


if __name__ == "__main__":
    main()
