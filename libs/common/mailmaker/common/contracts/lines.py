"""common.contracts.lines: the hand-shake of contacts and ingest over a file that was told by its lines."""

from __future__ import annotations

from mailmaker.common.contracts.internal import Wire


class LinesWanted(Wire):
    """contacts asks ingest to read lines of a file, by their numbers in order; None: all of it."""

    lines: tuple[int, ...] | None = None


class LinesRead(Wire):
    """What became of them: `rows` = staged + rejected + duplicate; `named` as in ImportStaged. `joined`: one of them is no
    record by itself, and the file is to be asked for whole. Then, and with an error, nothing is staged."""

    joined: bool = False
    rows: int = 0
    staged: int = 0
    rejected: int = 0
    duplicate: int = 0
    named: int = 0
    error_code: str | None = None
    error_detail: str | None = None
