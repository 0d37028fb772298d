"""unit: what `mailmaker import` prints of an import that has ended."""

from __future__ import annotations

import io
from typing import Any

from mailmaker.common.commands.import_tables import outcome
from rich.console import Console

ENDED: dict[str, Any] = {
    "id": "0198-b", "state": "applied", "error": None, "counts": {"rows": 3, "rejected": 0, "duplicate": 0},
    "rejects_url": "/v1/imports/0198-b/rejects", "same_as": None,
}  # fmt: skip


def printed(**more: Any) -> str:
    console = Console(file=io.StringIO(), width=200)
    outcome(console, {**ENDED, **more})
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_file_that_came_before_is_told_so() -> None:
    assert "came before" not in printed()
    assert "the very same file came before: import 0198-a" in printed(same_as="0198-a")


def test_where_refused_and_repeated_rows_are_is_told() -> None:
    assert "rejects" not in printed().replace("rejected", "")
    for name in ("rejected", "duplicate"):
        counts = {**ENDED["counts"], name: 1}
        assert "the refused and the repeated rows: GET /v1/imports/0198-b/rejects" in printed(counts=counts)
