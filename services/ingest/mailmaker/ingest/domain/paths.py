"""ingest.domain.paths: what a path from outside may mean. An inbox has four folders and no others; files lie in them, flat.

A client's path is text that is looked up here and nowhere else: what comes out is one of our folders and at most one plain
name, so nothing that a client says is ever joined to a path of ours.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

LONGEST_PATH = 4096
LONGEST_NAME = 180
"""Bytes of UTF-8: what we add to a name (a time, `.rejects.csv`) fits the 255 of every file system."""

DONE_MARK = ".done"
_UNFINISHED = (".part", ".filepart", ".tmp", ".partial")


class Folder(StrEnum):
    """The folders of an inbox."""

    IN = "in"
    DONE = "done"
    REJECTED = "rejected"
    REPORTS = "reports"


class BadPath(ValueError):
    """Not a path that can exist here. The message is for the client and repeats nothing of the path."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: the root (no folder), a folder (no name), or a name in a folder."""

    folder: Folder | None = None
    name: str | None = None

    @property
    def is_folder(self) -> bool:
        """The root, or one of the four."""
        return self.name is None

    def __str__(self) -> str:
        return "/" + "/".join(part for part in (self.folder, self.name) if part is not None)


ROOT = Place()


def place_of(path: str | bytes, at: Place = ROOT) -> Place:
    """Resolves a path seen from `at`, by its text alone; above the root is the root. Raises BadPath."""
    if len(path) > LONGEST_PATH:
        raise BadPath("the path is too long")
    if isinstance(path, bytes):
        try:
            path = path.decode("utf-8")
        except UnicodeDecodeError as wrong:
            raise BadPath("names are UTF-8") from wrong
    stack = [] if path.startswith("/") else [part for part in (at.folder, at.name) if part is not None]
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            del stack[-1:]
        else:
            stack.append(part)
    if not stack:
        return ROOT
    if len(stack) > 2 or stack[0] not in Folder.__members__.values():
        raise BadPath("there are the folders in, done, rejected and reports, and none in them")
    folder = Folder(stack[0])
    return Place(folder) if len(stack) == 1 else Place(folder, plain_name(stack[1]))


def plain_name(name: str) -> str:
    """A file's name as we keep it: NFC, so that one name has one spelling. Raises BadPath.

    Refused: controls, NUL, invisible and direction-changing characters, lone surrogates, slashes of either kind, names that
    are too long, and spaces at an end.
    """
    if len(name) > LONGEST_NAME * 2:
        raise BadPath("the name is too long")
    found = unicodedata.normalize("NFC", name)
    if not found.isprintable() or "/" in found or "\\" in found:
        raise BadPath("the name holds a character that no name may hold")
    if len(found.encode()) > LONGEST_NAME:
        raise BadPath("the name is too long")
    if found in ("", ".", "..") or found != found.strip():
        raise BadPath("no such name")
    return found


def is_unfinished(name: str) -> bool:
    """Whether the name itself says that its file is still being written."""
    return name.startswith(".") or name.casefold().endswith(_UNFINISHED)


def matches(pattern: str, name: str) -> bool:
    """Whether a shell's pattern matches a file's name; case does not count, an encrypted file's last ending neither."""
    name, wanted = name.casefold(), pattern.casefold()
    plain = name
    for ending in (".pgp", ".gpg", ".asc"):
        plain = plain.removesuffix(ending)
    return fnmatchcase(plain, wanted) or fnmatchcase(name, wanted)


def is_mark(name: str) -> bool:
    """Whether the file only says that another one is complete."""
    return name.casefold().endswith(DONE_MARK)
