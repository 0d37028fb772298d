"""ingest.readers.pgp: files encrypted with OpenPGP (RFC 9580): recognised here, opened in a child process of their own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mailmaker.ingest.readers.faults import Unreadable

_PATIENCE = 900.0
_GOODBYE = 5.0
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")
_ARMOUR = b"-----BEGIN PGP MESSAGE-----"
_KEY_VERSIONS = (2, 3, 6)
FAULTS = {
    "file.no_key": "it is encrypted to another key than the account's",
    "file.not_opened": "it is not a whole OpenPGP message",
    "upload.too_large": "what it holds is larger than a file may be",
}


def is_encrypted(path: Path, name: str) -> bool:
    """Whether a file's name or its first bytes say that it is encrypted to somebody's key."""
    if name.casefold().endswith((".pgp", ".gpg")):
        return True
    with open(path, "rb") as file:
        head = file.read(64)
    return head.lstrip(b"\r\n\t \xef\xbb\xbf").startswith(_ARMOUR) or _begins_with_session_key(head)


def _begins_with_session_key(head: bytes) -> bool:
    """A Public-Key Encrypted Session Key packet (RFC 9580, 5.1), in the old or the new packet format. Its length and its
    version are looked at too: a text in an old character set may begin with the same byte."""
    if len(head) < 8:
        return False
    if head[0] == 0xC1:
        lengths = 1 if head[1] < 192 else 2 if head[1] < 224 else 5
    elif head[0] in (0x84, 0x85, 0x86):
        lengths = {0x84: 1, 0x85: 2, 0x86: 4}[head[0]]
    else:
        return False
    return head[1 + lengths] in _KEY_VERSIONS


async def decrypt(source: Path, target: Path, keys: Sequence[bytes], most: int) -> None:
    """Writes what an encrypted file holds, at most `most` bytes. Raises Unreadable; `target` may then be left in part.

    The child has its own memory, time and file size, and gets the keys by its standard input.
    """
    job = {
        "source": str(source),
        "target": str(target),
        "keys": [base64.b64encode(key).decode() for key in keys],
        "most": most,
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mailmaker.ingest.readers.pgp_child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
    )
    try:
        said, _ = await asyncio.wait_for(child.communicate(json.dumps(job).encode()), _PATIENCE)
    except TimeoutError:
        said = b""
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await asyncio.wait_for(asyncio.shield(child.wait()), _GOODBYE)
    code = said.decode("ascii", "replace").strip()
    if code != "done":
        code = code if code in FAULTS else "file.not_opened"
        raise Unreadable(code, FAULTS[code])
