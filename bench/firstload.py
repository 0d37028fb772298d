"""bench.firstload: a file whose contacts a new list does not have yet, from the POST's last byte to `applied`, over COPY."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mailmaker.common.demo.client import Client
from mailmaker.common.demo.people import write_file
from mailmaker.common.demo.stage import raised

from bench.figures import Ratio, Spread
from bench.upload import copied, sent

GOAL = "at most 8"


async def measure(folder: Path, rows: int, repeat: int) -> list[Ratio | Spread]:
    """Each repetition fills a list of its own, beside those that are full already."""
    file = folder / "people.csv"
    await asyncio.to_thread(write_file, file, rows)
    ours, copies = [], []
    async with (
        raised(folder / "stage", keep_bytes="sample:1000") as stage,
        Client(stage.dev["base_url"], stage.dev["account_key"]) as client,
    ):
        for turn in range(repeat):
            list_id = await client.open_list(f"bench {turn}", "email")
            copies.append(await copied(stage.dev["database_url"], file))
            ours.append(await sent(stage.dev, list_id, file, created=rows))
    return [Ratio(f"first load of {rows} rows over raw COPY", "s", ours, copies, GOAL)]
