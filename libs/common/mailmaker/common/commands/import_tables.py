"""common.commands.import_tables: an import and its plan, as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_LONGEST = 60


def plan_table(console: Console, found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """What an import would do: its counts, and its first rows that change something."""
    console.print(_counts("would be", found["counts"]))
    if not rows:
        return
    table = Table(title=f"The first {len(rows)} changes", title_justify="left")
    for name, side in (("line", "right"), ("action", "left"), ("changes", "left")):
        table.add_column(name, justify="right" if side == "right" else "left")
    for row in rows:
        line = "" if row["line"] is None else str(row["line"])
        table.add_row(line, str(row["action"]), Text("\n".join(_changes(row))))
    console.print(table)


def outcome(console: Console, found: Mapping[str, Any]) -> None:
    """How an import ended."""
    waits = found["state"] in ("planned", "quarantined")
    console.print(_counts("would be" if waits else "rows", found["counts"]))
    console.print(f"import {found['id']}: {found['state']}", markup=False)
    if found.get("same_as"):
        console.print(f"the very same file came before: import {found['same_as']}", markup=False)
    if found["error"]:
        console.print(Text(f"{found['error']['code']}: {found['error']['detail']}"))
    if found["counts"]["rejected"] or found["counts"]["duplicate"]:
        console.print(f"the refused and the repeated rows: GET {found['rejects_url']}", markup=False)
    if waits:
        console.print(f"it waits: POST /v1/imports/{found['id']}:approve, or :cancel", markup=False)


def _counts(title: str, counts: Mapping[str, int]) -> Table:
    table = Table()
    table.add_column("")
    table.add_column(title, justify="right")
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    return table


def _changes(row: Mapping[str, Any]) -> list[str]:
    before, after = row["before"] or {}, row["after"] or {}
    names = sorted(before.keys() | after.keys())
    return [f"{name}: {_shown(before.get(name))} -> {_shown(after.get(name))}" for name in names]


def _shown(value: object) -> str:
    """One line, without what a terminal would obey."""
    text = "-" if value is None else str(value)
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
