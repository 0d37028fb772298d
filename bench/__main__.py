"""bench.__main__: `python -m bench [reimport] [signing] [segments]`: prints each figure with every repetition."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from bench import reimport, segments, signing
from bench.figures import Ratio, Spread

NAMES = ("reimport", "signing", "segments")


async def _run(told: argparse.Namespace) -> list[Ratio | Spread]:
    ratios: list[Ratio | Spread] = []
    with tempfile.TemporaryDirectory(prefix="mailmaker-bench-", dir=told.dir) as made:
        for name in told.what or NAMES:
            folder = Path(made) / name
            folder.mkdir()
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            ratio: Ratio | Spread
            if name == "segments":
                ratio = await segments.measure(folder, told.rows, told.repeat)
            elif name == "reimport":
                ratio = await reimport.measure(folder, told.rows, told.repeat)
            else:
                ratio = await signing.measure(folder, told.messages, told.repeat)
            print(ratio.json() if told.json else ratio.text(), flush=True)
            ratios.append(ratio)
    return ratios


def main() -> None:
    asked = argparse.ArgumentParser(prog="bench", description="Ratios measured in one run on this machine.")
    asked.add_argument("what", nargs="*", choices=[[], *NAMES], help="all of them when none is named")
    asked.add_argument(
        "--rows", type=int, default=1_000_000, help="rows of the re-import, and of the list of the segments"
    )
    asked.add_argument("--messages", type=int, default=20_000, help="messages of each mailing")
    asked.add_argument("--repeat", type=int, default=5, help="repetitions; medians are taken")
    asked.add_argument("--dir", help="where the platform's state is kept meanwhile")
    asked.add_argument("--json", action="store_true", help="one JSON object a line")
    asyncio.run(_run(asked.parse_args()))


if __name__ == "__main__":
    main()
