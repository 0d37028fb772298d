"""ingest.storage.inbox_taking: files on their way out of an inbox, and what is put back: archives, reports, rejects."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from mailmaker.ingest.domain.drops import Lying, Taken
from mailmaker.ingest.domain.paths import DONE_MARK, BadPath, Folder, plain_name
from mailmaker.ingest.storage.inbox_writing import mark_of, own
from mailmaker.ingest.storage.inboxes import Inbox

KEPT = (Folder.DONE, Folder.REJECTED, Folder.REPORTS)
REPORTS = (".json", ".quarantined.json", ".rejects.csv")
"""How the names of an archived file's reports end."""


def lying(inbox: Inbox) -> list[Lying]:
    """The files in `in/`. What is no plain file under a name of ours is passed over."""
    found = []
    with inbox.folder(Folder.IN) as fd, os.scandir(fd) as entries:
        for entry in entries:
            with contextlib.suppress(OSError, BadPath):
                seen = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(seen.st_mode) and plain_name(entry.name) == entry.name:
                    found.append(
                        Lying(
                            entry.name,
                            seen.st_size,
                            seen.st_ino,
                            seen.st_mtime_ns,
                            seen.st_ctime,
                            mark_of(seen.st_mode),
                        )
                    )
    return found


def is_free(inbox: Inbox, one: Lying) -> bool:
    """Whether nobody writes to a file now, and it is still what was seen."""
    with inbox.folder(Folder.IN) as folder, contextlib.suppress(OSError):
        fd = os.open(one.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            return own(fd) and _same(os.fstat(fd), one.size, one.inode, one.modified_ns)
        finally:
            os.close(fd)
    return False


def take(inbox: Inbox, taken: Taken) -> bool:
    """Moves a file out of its client's reach, durably: it is gone from `in/` before an import of it can exist.

    False: somebody writes to it, or it is not the file that was seen.
    """
    with inbox.folder(Folder.IN) as folder:
        try:
            fd = os.open(
                taken.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
            )
        except OSError:
            return False
        try:
            if not own(fd) or not _same(os.fstat(fd), taken.size, taken.inode, taken.modified_ns):
                return False
            os.fsync(fd)
            os.rename(taken.name, held(inbox, taken), src_dir_fd=folder)
            with contextlib.suppress(OSError):
                os.unlink(taken.name + DONE_MARK, dir_fd=folder)
            _sync(inbox.path / "taking")
            os.fsync(folder)
            return True
        finally:
            os.close(fd)


def held(inbox: Inbox, taken: Taken, ending: str = "") -> Path:
    """Where a taken file lies until it is archived."""
    return inbox.path / "taking" / f"{taken.id}{ending}"


def archive(inbox: Inbox, taken: Taken, folder: Folder) -> None:
    """Puts a taken file where its client finds it; done before is done."""
    target = inbox.path / "home" / folder / archived_name(taken)
    with contextlib.suppress(FileNotFoundError):
        os.rename(held(inbox, taken), target)
        _sync(target.parent)


def archived_name(taken: Taken) -> str:
    """The name of the archived file, and the beginning of its reports' names."""
    return f"{taken.name}.{taken.stamp}"


def put_report(inbox: Inbox, taken: Taken, ending: str, content: bytes | Path) -> None:
    """Writes a file of `reports/`, whole or not at all."""
    part = held(inbox, taken, ".report")
    if isinstance(content, bytes):
        part.write_bytes(content)
    else:
        shutil.copyfile(content, part)
    with open(part, "rb") as file:
        os.fsync(file.fileno())
    folder = inbox.path / "home" / Folder.REPORTS
    os.replace(part, folder / f"{archived_name(taken)}{ending}")
    _sync(folder)


def forget(inbox: Inbox, files: Sequence[Taken]) -> None:
    """Removes what is kept of taken files: archives, reports, rejects."""
    for folder, endings in ((Folder.DONE, ("",)), (Folder.REJECTED, ("",)), (Folder.REPORTS, REPORTS)):
        with inbox.folder(folder) as fd:
            for name in (f"{archived_name(taken)}{ending}" for taken in files for ending in endings):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=fd)


def remove(inbox: Inbox, names: Sequence[str]) -> None:
    """Removes marks that say nothing."""
    with inbox.folder(Folder.IN) as fd:
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=fd)


def sweep(inbox: Inbox, seconds: float) -> int:
    """Forgets what was kept longer, and the oldest of what is more than the inbox may hold. Returns how many."""
    gone = 0
    for folder in KEPT:
        with inbox.folder(folder) as fd:
            seen = []
            for name in os.listdir(fd):
                with contextlib.suppress(OSError):
                    seen.append((os.stat(name, dir_fd=fd, follow_symlinks=False), name))
            seen.sort(key=lambda one: -one[0].st_ctime)
            size = 0
            for number, (found, name) in enumerate(seen):
                size += found.st_size
                old = time.time() - found.st_ctime >= seconds
                if old or number >= inbox.limits.files or size > inbox.limits.bytes:
                    with contextlib.suppress(OSError):
                        os.unlink(name, dir_fd=fd)
                        gone += 1
    return gone


def _same(found: os.stat_result, size: int, inode: int, modified_ns: int) -> bool:
    return (found.st_size, found.st_ino, found.st_mtime_ns) == (size, inode, modified_ns)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
