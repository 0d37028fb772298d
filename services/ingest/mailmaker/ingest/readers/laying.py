"""ingest.readers.laying: staged rows and their outline go to disk; of a large file, by a process beside the one that reads.

Reading and checking is more than half of the work, digests and the outline are the rest: two cores share it. That process
is `python -m mailmaker.ingest.readers.laying STAGED OUTLINE SEED LINE_SEED`: it hears frames on stdin (kind, four lengths,
four texts), and ends with one line of JSON; when stdin ends without the last frame, its reader has died, and so does it.
"""

from __future__ import annotations

import gc
import json
import os
import struct
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Protocol

from mailmaker.ingest.domain import outlines
from mailmaker.ingest.readers.digest import HEX, digests
from mailmaker.ingest.readers.keys import Keys
from mailmaker.ingest.readers.limits import peak
from mailmaker.ingest.readers.repeats import BUFFER, left_out, synced, written

BESIDE_FROM = 8 << 20
"""Bytes of a file from which a second process is worth its start."""
_AROUND = len(",,\n") + HEX
"""Bytes of a staged line beside its number and its row."""
_FRAME = struct.Struct("<cIIII")
_TEXTS = 4
_ROWS, _NAME, _END = b"r", b"n", b"e"
_CRASHED = 70
_PATIENCE = 60.0


class Layer(Protocol):
    """Takes what is staged, in order."""

    def lay(self, numbers: bytes, keys: bytes, rows: bytes, lines: bytes) -> None:
        """Some rows: a text each, in UTF-8, joined by line ends. The numbers of lines that follow one another are the first
        of them and a plus. `lines`: the rows as they stand in the file, where each is one line of it; else nothing."""

    def name(self, line: int, key: bytes) -> None:
        """The key of a rejected row, as a cell."""

    def end(self) -> tuple[int, int]:
        """All is on disk, later rows of repeated keys left out. How many those were, and the memory held at most in KiB."""


class Here:
    """Lays in this process."""

    def __init__(self, staged: Path, outline: Path, seeds: tuple[int, int]) -> None:
        self._paths = staged, outline
        self._staged, self._outline = written(staged), written(outline)
        self._outline.write(outlines.HEAD)
        self._seed, self._line_seed = seeds
        self._at = 0
        self._keys = Keys()

    def lay(self, numbers: bytes, keys: bytes, rows: bytes, lines: bytes) -> None:
        made, told = rows.split(b"\n"), keys.split(b"\n")
        if numbers.endswith(b"+"):
            at: Sequence[int] = range(first := int(numbers[:-1]), first + len(made))
            each = "\n".join(map(str, at)).encode().split(b"\n")
        else:
            each = numbers.split(b"\n")
            at = list(map(int, each))
        if b'"' in keys:
            told = list(map(outlines.bare, told))
        self._keys.add(told)
        marks = digests(lines.split(b"\n"), self._line_seed) if lines else digests(made, self._seed)
        cells = "\n".join(map(bytes.hex, marks)).encode().split(b"\n")
        sizes = map(sum, zip(map(len, each), map(len, made), strict=True))
        *begins, self._at = accumulate((size + _AROUND for size in sizes), initial=self._at)
        self._staged.write(b"\n".join(map(b",".join, zip(each, made, cells, strict=True))) + b"\n")
        self._outline.write(outlines.rows(at, begins, marks, told))

    def name(self, line: int, key: bytes) -> None:
        self._outline.write(outlines.naming(line, outlines.bare(key)))

    def end(self) -> tuple[int, int]:
        self._outline.write(outlines.END)
        for file in (self._staged, self._outline):
            synced(file)
        repeated = self._keys.repeated()
        return (left_out(*self._paths, repeated) if repeated else 0), peak()

    def close(self) -> None:
        self._staged.close()
        self._outline.close()


class Beside:
    """Lays in a process of its own. A pipe is between: it holds a few batches and no more."""

    def __init__(self, process: Popen[bytes]) -> None:
        self._process = process

    def lay(self, numbers: bytes, keys: bytes, rows: bytes, lines: bytes) -> None:
        self._tell(_ROWS, numbers, keys, rows, lines)

    def name(self, line: int, key: bytes) -> None:
        self._tell(_NAME, b"%d" % line, key)

    @property
    def ended(self) -> bool:
        """Whether the process has gone."""
        return self._process.poll() is not None

    def end(self) -> tuple[int, int]:
        self._tell(_END)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.flush()
        duplicate, held = json.loads(self._process.stdout.readline())
        return int(duplicate), int(held)

    def _tell(self, kind: bytes, *some: bytes) -> None:
        assert self._process.stdin is not None
        texts = (*some, b"", b"", b"", b"")[:_TEXTS]
        self._process.stdin.write(b"".join((_FRAME.pack(kind, *map(len, texts)), *texts)))


@contextmanager
def laying(staged: Path, outline: Path, seeds: tuple[int, int], size: int) -> Iterator[Layer]:
    """Who lays the rows of a file of so many bytes. `seeds`: of a row's digest, and of a line's."""
    if size < BESIDE_FROM:
        here = Here(staged, outline, seeds)
        try:
            yield here
        finally:
            here.close()
        return
    told = map(str, (staged, outline, *seeds))
    command = [sys.executable, "-m", "mailmaker.ingest.readers.laying", *told]
    with Popen(command, stdin=PIPE, stdout=PIPE, bufsize=BUFFER, pipesize=BUFFER) as process:
        try:
            yield Beside(process)
        finally:
            with suppress(OSError):
                process.communicate(timeout=_PATIENCE)
            process.kill()


def main() -> None:
    code = _CRASHED
    # Nothing here is circular, and a few batches are all that lives.
    gc.disable()
    try:
        code = 0 if _laid_to_the_end() else _CRASHED
    except Exception as wrong:
        # Where and what kind, never the message: it may hold a cell of the file.
        print(type(wrong).__name__, *traceback.format_tb(wrong.__traceback__), sep="\n", file=sys.stderr)
    sys.stdout.flush()
    os._exit(code)


def _laid_to_the_end() -> bool:
    staged, outline, seed, line_seed = sys.argv[1:]
    layer = Here(Path(staged), Path(outline), (int(seed), int(line_seed)))
    while len(head := sys.stdin.buffer.read(_FRAME.size)) == _FRAME.size:
        kind, *sizes = _FRAME.unpack(head)
        texts = [sys.stdin.buffer.read(size) for size in sizes]
        if kind == _END:
            threading.Thread(target=_end_with_reader, daemon=True).start()
            print(json.dumps(layer.end()))
            return True
        if [len(text) for text in texts] != sizes:
            break
        if kind == _ROWS:
            layer.lay(*texts)
        else:
            layer.name(int(texts[0]), texts[1])
    return False


def _end_with_reader() -> None:
    while os.read(0, 1):
        pass
    os._exit(_CRASHED)


if __name__ == "__main__":
    main()
