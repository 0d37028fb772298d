"""common.commands.demo: raises the platform, plays the walk, prints the scoreboard; exit code 1 if the promise broke."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from mailmaker.common.demo.board import figures, table
from mailmaker.common.demo.people import write_file
from mailmaker.common.demo.play import Play, Show, perform
from mailmaker.common.demo.stage import StageFailed, raised
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


def demo(
    contacts: int, file: Path | None, noes: int, kills: int, directory: Path | None, as_json: bool
) -> int:
    """Plays the demo. Progress goes to standard error, the scoreboard to standard output."""
    progress = Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    tasks: dict[str, TaskID] = {}

    def show(step: str, done: int, total: int) -> None:
        if step not in tasks:
            tasks[step] = progress.add_task(step)
        progress.update(tasks[step], completed=min(done, total) if total else done, total=total or None)

    with tempfile.TemporaryDirectory(prefix="mailmaker-demo-") as scratch, progress:
        place = directory or Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        source = file or place / "contacts.csv"
        if file is None:
            write_file(source, contacts)
        try:
            play = asyncio.run(_play(place, source, show, noes, kills))
        except StageFailed as wrong:
            Console(stderr=True).print(str(wrong))
            return 2
    found = figures(play)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console().print(table(play))
    return 0 if found["kept"] else 1


async def _play(place: Path, source: Path, show: Show, noes: int, kills: int) -> Play:
    async with raised(place) as stage:
        return await perform(stage, source, show, noes=noes, kills=kills)
