"""bench.workbook: an XLSX of contacts, opened and staged by the processes that a service starts for it."""

from __future__ import annotations

import asyncio
import csv
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import xlsxwriter  # type: ignore[import-untyped]
from mailmaker.common.demo.people import write_file
from mailmaker.ingest.readers.job import Job
from mailmaker.ingest.readers.process import reading

from bench.figures import Ratio, Spread

GOAL = "p95 under 3 s"
MOST = 100_000


async def measure(folder: Path, rows: int, repeat: int) -> list[Ratio | Spread]:
    """Seconds from the start of the first process to the answer of the last, file on disk to staged rows on disk."""
    rows = min(rows, MOST)
    book = folder / "people.xlsx"
    await asyncio.to_thread(_write, folder / "people.csv", book, rows)
    took = [await _read(folder, book, rows) for _ in range(repeat)]
    return [Spread(f"an XLSX of {rows} contacts, opened and staged", "s", {book.name: took}, GOAL)]


def _write(source: Path, book: Path, rows: int) -> None:
    write_file(source, rows)
    with source.open(encoding="utf-8", newline="") as lines:
        made = xlsxwriter.Workbook(str(book), {"constant_memory": True})
        sheet = made.add_worksheet()
        for number, row in enumerate(csv.reader(lines)):
            sheet.write_row(number, 0, row)
        made.close()


async def _read(folder: Path, book: Path, rows: int) -> float:
    plain = str(folder / "plain")
    job = Job(
        task="open",
        upload=str(book),
        staged=plain,
        outline=str(folder / "outline"),
        rejects=str(folder / "rejects"),
        key="email",
        country="IT",
        today=date.today().isoformat(),
    )
    began = time.perf_counter()
    async with reading(job) as child:
        opened = await child.opened()
    if opened is None or opened.faults or not opened.plain:
        raise RuntimeError(f"the workbook was not opened: {opened}")
    job = replace(
        job,
        task="stage",
        upload=plain,
        staged=str(folder / "staged"),
        encoding=opened.encoding,
        delimiter=opened.delimiter,
        first_line=opened.first_line,
    )
    async with reading(job) as child:
        while (answer := await child.next()) is not None and not answer.done and answer.code is None:
            pass
    if answer is None or answer.staged != rows:
        raise RuntimeError(f"the workbook was not staged: {answer}")
    return time.perf_counter() - began
