"""ingest.readers.faults: why a whole file cannot be read."""

from __future__ import annotations


class Unreadable(ValueError):
    """The file as a whole is refused; nothing of it is staged.

    `code` is stable, `detail` says what to change, `line` is the physical line (1 is the first), where one is known;
    `pointer` names the part of the request at fault.
    """

    def __init__(self, code: str, detail: str, line: int | None = None, *, pointer: str = "/file") -> None:
        self.code = code
        self.line = line
        self.detail = detail if line is None else f"line {line}: {detail}"
        self.pointer = pointer
        super().__init__(self.detail)
