"""bench.__main__: `python -m bench [NAME ...]`: prints each figure with every repetition."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench import audience, firstload, reimport, segments, signing, workbook
from bench.figures import Ratio, Spread

Measure = Callable[[Path, int, int], Awaitable[list[Ratio | Spread]]]
OF_ROWS: dict[str, Measure] = {
    "reimport": reimport.measure,
    "firstload": firstload.measure,
    "audience": audience.measure,
    "workbook": workbook.measure,
    "segments": segments.measure,
}
OF_MESSAGES: dict[str, Measure] = {"signing": signing.measure}
NAMES = (*OF_ROWS, *OF_MESSAGES)


async def _run(told: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="mailmaker-bench-", dir=told.dir) as made:
        for name in told.what or NAMES:
            folder = Path(made) / name
            folder.mkdir()
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            if name in OF_ROWS:
                found = await OF_ROWS[name](folder, told.rows, told.repeat)
            else:
                found = await OF_MESSAGES[name](folder, told.messages, told.repeat)
            for one in found:
                print(one.json() if told.json else one.text(), flush=True)


def main() -> None:
    asked = argparse.ArgumentParser(prog="bench", description="Ratios measured in one run on this machine.")
    asked.add_argument("what", nargs="*", choices=[[], *NAMES], help="all of them when none is named")
    asked.add_argument("--rows", type=int, default=1_000_000, help="rows of files, contacts of lists")
    asked.add_argument("--messages", type=int, default=20_000, help="messages of each mailing")
    asked.add_argument("--repeat", type=int, default=5, help="repetitions; medians are taken")
    asked.add_argument("--dir", help="where the platform's state is kept meanwhile")
    asked.add_argument("--json", action="store_true", help="one JSON object a line")
    asyncio.run(_run(asked.parse_args()))


if __name__ == "__main__":
    main()
