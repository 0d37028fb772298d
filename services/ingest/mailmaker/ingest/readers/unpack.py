"""ingest.readers.unpack: one file out of a gzip or zip file, a piece at a time, and never more than a bound."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from mailmaker.ingest.readers.faults import Unreadable
from mailmaker.ingest.readers.kinds import Kind, archive

_PIECE = 1 << 18
_SUSPECT = 64 << 20
"""From so many bytes on, a file that grows more than _MOST_GROWTH times is no list of contacts."""
_MOST_GROWTH = 200
_MOST_MEMBERS = 10_000
_CRYPTED = 1
_OF_MAC = ("__MACOSX/", ".DS_Store")


def unpacked(kind: Kind, file: BinaryIO, target: BinaryIO, most: int) -> int:
    """Writes what is packed in `file` into `target`; returns its size. Raises Unreadable."""
    pieces = _gunzipped(file) if kind is Kind.GZIP else _member(file)
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise Unreadable("file.too_large_unpacked", f"unpacked, it is larger than {most} bytes; split it")
        if size > _SUSPECT and size > _MOST_GROWTH * file.tell():
            raise Unreadable("file.bomb", f"it grows more than {_MOST_GROWTH} times when it is unpacked")
        target.write(piece)
    return size


def check_workbook(file: BinaryIO, size: int, most: int) -> None:
    """Refuses a zipped workbook by its directory alone: encrypted, overlapping, or growing without measure."""
    with archive(file) as packed:
        members = packed.infolist()
    if any(member.flag_bits & _CRYPTED for member in members):
        raise Unreadable("file.encrypted", "the file is protected by a password; save it without one")
    if len(members) > _MOST_MEMBERS or sum(member.compress_size for member in members) > size:
        raise Unreadable("file.bomb", "the file's parts are too many, or overlap")
    if sum(member.file_size for member in members) > most:
        raise Unreadable(
            "file.too_large_unpacked", f"unpacked, it is larger than {most} bytes; save the sheet as CSV"
        )
    for member in members:
        if member.file_size > _SUSPECT and member.file_size > _MOST_GROWTH * member.compress_size:
            raise Unreadable("file.bomb", f"a part grows more than {_MOST_GROWTH} times when it is unpacked")


def _gunzipped(file: BinaryIO) -> Iterator[bytes]:
    """Every member of a gzip file (RFC 1952), one after another; zeros may pad its end."""
    file.seek(0)
    inflate = zlib.decompressobj(31)
    rest = b""
    begun = False
    try:
        while data := rest or file.read(_PIECE):
            if inflate.eof:
                data = data.lstrip(b"\x00")
                if not data:
                    rest = b""
                    continue
                inflate = zlib.decompressobj(31)
            begun = True
            yield inflate.decompress(data, _PIECE)
            rest = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    except zlib.error as wrong:
        raise Unreadable("file.broken", "the gzip file is damaged") from wrong
    if not begun or not inflate.eof:
        raise Unreadable("file.broken", "the gzip file is cut: its end is missing")


def _member(file: BinaryIO) -> Iterator[bytes]:
    """The only member of a zip file. What macOS adds is no member; a member's name is never used."""
    with archive(file) as packed:
        found = [
            one
            for one in packed.infolist()
            if not one.is_dir() and not one.filename.startswith(_OF_MAC) and not _is_of_mac(one.filename)
        ]
        if len(found) != 1:
            raise Unreadable("zip.members", f"the zip file holds {len(found)} files; send one at a time")
        if found[0].flag_bits & _CRYPTED:
            raise Unreadable("file.encrypted", "the zip file is protected by a password")
        try:
            with packed.open(found[0]) as member:
                while piece := member.read(_PIECE):
                    yield piece
        except NotImplementedError as wrong:
            raise Unreadable("file.kind", "the zip file is packed in an unusual way; use deflate") from wrong
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as wrong:
            raise Unreadable("file.broken", "the zip file is damaged or cut") from wrong


def _is_of_mac(name: str) -> bool:
    return name.rsplit("/", 1)[-1] in _OF_MAC
