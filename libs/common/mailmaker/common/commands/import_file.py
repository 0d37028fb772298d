"""common.commands.import_file: sends a file, waits, shows what came of it; with a plan, asks before it is applied."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from mailmaker.common.commands.api import Api, Refused, Where
from mailmaker.common.commands.import_tables import outcome, plan_table
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.prompt import Confirm

APPLIED, NOT_APPLIED, WAITS = 0, 1, 3
"""Exit codes: applied; failed, rejected or cancelled; waits for somebody's word."""
_OVER = ("applied", "undone", "failed", "rejected", "cancelled", "quarantined")
_ROWS = 20


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be imported, and how. `plan`: shown before it is applied; `yes`: approved without asking."""

    file: Path
    list: str
    mode: str
    plan: bool = False
    yes: bool = False
    more: dict[str, Any] = field(default_factory=dict)


class _Counted(io.RawIOBase):
    """A file that tells how far it has been read."""

    def __init__(self, path: Path, tell: Callable[[int], None]) -> None:
        self._file = path.open("rb", buffering=0)
        self._tell_read = tell

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._tell_read(self._file.tell())
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


def import_file(where: Where, order: Order, as_json: bool) -> int:
    """Does it. Progress goes to standard error, the result to standard output. Raises Refused."""
    aside = Console(stderr=True)
    with Api(where) as api, _progress(aside) as progress:
        made = _send(api, order, progress)
        path = f"/v1/imports/{made['id']}"
        ended = _over_or_planned if order.plan else _over
        found = api.wait(path, ended, _told(progress))
        progress.stop()
        rows: list[dict[str, Any]] = []
        if order.plan and found["state"] in ("planned", "quarantined"):
            rows = api.get(f"/v1/plans/{made['id']}/rows", {"limit": str(_ROWS)})["items"]
            if not as_json:
                plan_table(Console(), found, rows)
            found = _decided(api, order, found, path, aside, as_json)
    if as_json:
        print(json.dumps(found | ({"plan": rows} if order.plan else {}), indent=2, ensure_ascii=False))
    else:
        outcome(Console(), found)
    if found["state"] == "applied":
        return APPLIED
    return WAITS if found["state"] in ("planned", "quarantined") else NOT_APPLIED


def _send(api: Api, order: Order, progress: Progress) -> dict[str, Any]:
    options = {"list": _list_id(api, order.list), "mode": order.mode, **order.more}
    if order.plan:
        options["apply"] = "on_approval"
    task = progress.add_task("sending", total=order.file.stat().st_size or None)
    with _Counted(order.file, lambda at: progress.update(task, completed=at)) as file:
        return api.post(
            "/v1/imports",
            files={"file": (order.file.name, file, "application/octet-stream")},
            data={"options": json.dumps(options)},
        )


def _list_id(api: Api, wanted: str) -> str:
    """A list by its id, or by its name."""
    try:
        return str(UUID(wanted))
    except ValueError:
        pass
    found: list[str] = []
    query = {"limit": "1000"}
    while True:
        page = api.get("/v1/lists", query)
        found += [one["id"] for one in page["items"] if one["name"] == wanted]
        if page["next"] is None:
            break
        query = {"limit": "1000", "cursor": page["next"]}
    if len(found) != 1:
        what = "no list has this name" if not found else "several lists have this name: say the id"
        raise Refused(f"--list {wanted}: {what}")
    return found[0]


def _decided(
    api: Api, order: Order, found: dict[str, Any], path: str, aside: Console, as_json: bool
) -> dict[str, Any]:
    """The import after somebody's word; unchanged where nobody is there to give it."""
    if not order.yes:
        if as_json or not sys.stdin.isatty():
            return found
        if not Confirm.ask("Apply this plan?", console=aside, default=False):
            return api.post(f"{path}:cancel")
    api.post(f"{path}:approve")

    def answered(now: dict[str, Any]) -> bool:
        # It may wait anew, also in the state that it was in: contacts were edited since.
        return _over(now) and now["updated_at"] != found["updated_at"]

    with _progress(aside) as progress:
        return api.wait(path, answered, _told(progress))


def _over(found: dict[str, Any]) -> bool:
    return found["state"] in _OVER


def _over_or_planned(found: dict[str, Any]) -> bool:
    return _over(found) or found["state"] == "planned"


def _progress(aside: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=aside,
        transient=True,
        disable=not aside.is_terminal,
    )


def _told(progress: Progress) -> Callable[[dict[str, Any]], None]:
    """Shows each state of an import as a bar of its own."""
    tasks: dict[str, Any] = {}

    def tell(found: dict[str, Any]) -> None:
        state = str(found["state"])
        if state not in tasks:
            tasks[state] = progress.add_task(state, total=None)
        at = found["progress"]
        progress.update(tasks[state], completed=at["done"], total=at["total"] or None)

    return tell
