"""ingest.readers.pgp_child: the process that opens one encrypted file: `python -m mailmaker.ingest.readers.pgp_child`.

It reads a job from stdin (paths, private keys, the most bytes to write) and says one word: `done`, or a code of a fault.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import resource
import sys

from pysequoia import Tsk, decrypt_file

_MEMORY = 1 << 30
_SECONDS = 600


def main() -> None:
    job = json.loads(sys.stdin.buffer.read())
    most = int(job["most"])
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    # A message that holds far more than it weighs ends here, with EFBIG: Python ignores SIGXFSZ.
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    os.umask(0o077)
    keys = [base64.b64decode(key) for key in job["keys"]]
    sys.stdout.write(_opened(job["source"], job["target"], keys, most))


def _opened(source: str, target: str, keys: list[bytes], most: int) -> str:
    said = "file.no_key"
    for key in keys:
        try:
            decrypt_file(source, target, decryptor=Tsk.from_bytes(key).decryptor())
        except Exception as wrong:
            # Never the message itself: it may hold what the file holds.
            if "No key to decrypt" in str(wrong):
                continue
            full = isinstance(wrong, OSError) and wrong.errno == errno.EFBIG
            said = "upload.too_large" if full or _size(target) >= most else "file.not_opened"
            break
        else:
            return "done"
    return said


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


if __name__ == "__main__":
    main()
